//! What the fuzz targets share: a bound on memory, a folder for the parsers that open paths, and the ways to read a
//! recording.

use std::alloc::{GlobalAlloc, Layout, System};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use ffsvc_audio::{AudioFile, Channel, Limits, ReadOptions};
use tempfile::TempDir;

/// Most memory that a target may hold. The parsers take some hundred bytes of memory for a byte of input at most, and
/// inputs are short.
const MOST_MEMORY: usize = 256 << 20;

/// Refuses memory beyond [`MOST_MEMORY`], which ends the program. libFuzzer's own limit sees only memory that was written
/// to, and so not an allocation on the word of a header.
struct Bounded;

static HELD: AtomicUsize = AtomicUsize::new(0);

#[global_allocator]
static ALLOCATOR: Bounded = Bounded;

// SAFETY: every block is `System`'s; only the count is ours.
unsafe impl GlobalAlloc for Bounded {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if HELD.fetch_add(layout.size(), Ordering::Relaxed).saturating_add(layout.size()) > MOST_MEMORY {
            HELD.fetch_sub(layout.size(), Ordering::Relaxed);
            return std::ptr::null_mut();
        }
        // SAFETY: the caller's promise is the same.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        if HELD.fetch_add(layout.size(), Ordering::Relaxed).saturating_add(layout.size()) > MOST_MEMORY {
            HELD.fetch_sub(layout.size(), Ordering::Relaxed);
            return std::ptr::null_mut();
        }
        // SAFETY: the caller's promise is the same.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        HELD.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: the caller's promise is the same.
        unsafe { System.dealloc(block, layout) }
    }
}

/// A folder in memory where there is one, for the parsers that open paths.
#[derive(Debug)]
pub struct Folder(TempDir);

impl Default for Folder {
    fn default() -> Self {
        let folder = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir());
        Self(folder.expect("a folder for temporary files"))
    }
}

impl Folder {
    /// The folder.
    pub fn path(&self) -> &Path {
        self.0.path()
    }

    /// Writes a file and returns its path.
    pub fn write(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.path().join(name);
        std::fs::write(&path, bytes).expect("a temporary file can be written");
        path
    }
}

thread_local! {
    static FOLDER: Folder = Folder::default();
}

/// Calls `parse` with the path of a file of these bytes.
pub fn with_file<T>(name: &str, bytes: &[u8], parse: impl FnOnce(&Path) -> T) -> T {
    with_folder(|folder| parse(&folder.write(name, bytes)))
}

/// Calls `parse` with a folder, which is the same each time.
pub fn with_folder<T>(parse: impl FnOnce(&Folder) -> T) -> T {
    FOLDER.with(parse)
}

/// Lets a library catch the panics of a decoder that is not ours: libFuzzer's hook would end the program before. A panic that
/// nobody catches still does.
pub fn let_panics_be_caught() {
    std::panic::set_hook(Box::new(|panic| eprintln!("{panic}")));
}

/// Reads a recording whole, in crops, at another rate, and counts its samples.
pub fn read_audio(bytes: &[u8]) {
    with_file("audio", bytes, read_recording);
}

/// As [`read_audio`], by its path; also a segment of it.
pub fn read_recording(path: &Path) {
    // Longer ones are refused by their limit: what fits into a fuzzer's input is short, but for silence in FLAC.
    let limits = Limits::default().with_max_duration(Duration::from_secs(10));
    let Ok(mut file) = AudioFile::open_with(path, limits) else { return };
    let plain = ReadOptions::default();
    let whole = file.read(&plain);
    if let Ok(audio) = &whole {
        assert!(!audio.samples.is_empty() && audio.samples.iter().all(|sample| sample.is_finite()));
        let at = audio.samples.len() / 2;
        let crop = file.crop(at as u64, audio.samples.len() - at, &plain);
        // PCM and FLAC are read around the crop only.
        if let Ok(crop) = crop {
            assert!(crop.samples == audio.samples[at..], "a crop differs from the whole");
        }
    }
    let _ = file.count_frames();
    let mut crop = [0.0; 400];
    for start in [0, 1000, 1 << 40, u64::MAX - 100] {
        let _ = file.crop_into(start, &mut crop, &plain.with_channel(Channel::Mix));
        let _ = file.crop_into(start, &mut crop, &ReadOptions::at_rate(16_000).with_compat_lowpass(true));
    }
    let _ = file.read(&ReadOptions::at_rate(16_000).with_channel(Channel::Index(1)));
    let (middle_s, rate) = (0.01, f64::from(file.sample_rate()));
    if let Ok(mut part) = file.with_segment(middle_s, None)
        && let (Ok(part), Ok(whole)) = (part.read(&plain), whole)
    {
        let first = (middle_s * rate) as usize;
        assert!(part.samples == whole.samples[first..], "a segment differs from the whole");
    }
}

/// Where `FFSVC_FUZZ_SEEDS` names a folder, writes a target's first inputs there and ends the program.
pub fn seeds(write: impl FnOnce(&Path)) {
    if let Some(folder) = std::env::var_os("FFSVC_FUZZ_SEEDS") {
        write(Path::new(&folder));
        std::process::exit(0);
    }
}
