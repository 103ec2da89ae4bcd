use std::path::{Path, PathBuf};

use crate::text::Text;
use crate::{Error, Result, Segment};

/// What the second column of `wav.scp` names.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum WavSource {
    /// An audio file, or a recording inside a Kaldi archive or a tar file (`wav.ark:1234`). A relative path is relative to the working
    /// directory, as in Kaldi.
    File(PathBuf),
    /// A shell command whose standard output is the audio; without the `|` that marks it.
    Pipe(String),
}

impl WavSource {
    /// Tells a path from a command: a command ends in `|`.
    ///
    /// ```
    /// use ffsvc_kaldi_io::WavSource;
    /// assert_eq!(WavSource::parse("far field/a.wav"), WavSource::File("far field/a.wav".into()));
    /// assert_eq!(WavSource::parse("sph2pipe a.sph |"), WavSource::Pipe("sph2pipe a.sph".into()));
    /// ```
    pub fn parse(value: &str) -> Self {
        let value = value.trim_ascii();
        match value.strip_suffix('|') {
            Some(command) => Self::Pipe(command.trim_ascii_end().to_owned()),
            None => Self::File(PathBuf::from(value)),
        }
    }

    /// The file that must exist: the path itself, or the archive of an entry `ARCHIVE:OFFSET`, if there is no file of the whole
    /// name. `None` for a command.
    ///
    /// ```
    /// use ffsvc_kaldi_io::WavSource;
    /// let on_disk = |value| WavSource::parse(value).on_disk().map(|path| path.to_path_buf());
    /// assert_eq!(on_disk("data/wav.ark:1234"), Some("data/wav.ark".into()));
    /// assert_eq!(on_disk("data/1.wav"), Some("data/1.wav".into()));
    /// ```
    pub fn on_disk(&self) -> Option<&Path> {
        let Self::File(file) = self else { return None };
        match self.place() {
            Some((archive, _)) if !file.is_file() => Some(archive),
            _ => Some(file),
        }
    }

    /// The archive and the offset, in bytes, that a name `ARCHIVE:OFFSET` means if there is no file of the whole name. Looks at
    /// the name only.
    ///
    /// ```
    /// use ffsvc_kaldi_io::WavSource;
    /// use std::path::Path;
    /// assert_eq!(WavSource::parse("data/wav.ark:1234").place(), Some((Path::new("data/wav.ark"), 1234)));
    /// assert_eq!(WavSource::parse("data/1.wav").place(), None);
    /// ```
    pub fn place(&self) -> Option<(&Path, u64)> {
        let Self::File(file) = self else { return None };
        let (archive, offset) = file.to_str()?.rsplit_once(':')?;
        let is_number = !offset.is_empty() && offset.bytes().all(|byte| byte.is_ascii_digit());
        if archive.is_empty() || !is_number {
            return None;
        }
        Some((Path::new(archive), offset.parse().ok()?))
    }

    /// Whether [`parse`](Self::parse) takes the value for a command.
    pub fn is_pipe(value: &str) -> bool {
        value.trim_ascii_end().ends_with('|')
    }
}

/// The audio of an utterance: a recording, or a part of one.
#[derive(Debug, Clone, PartialEq)]
pub struct AudioSource {
    /// The recording.
    pub wav: WavSource,
    /// The part of it; `None` for all of it.
    pub segment: Option<Segment>,
}

impl From<WavSource> for AudioSource {
    /// All of the recording.
    fn from(wav: WavSource) -> Self {
        Self { wav, segment: None }
    }
}

/// Reads a list of audio files, one path a line, as the lists of noises and room impulse responses are (MUSAN,
/// RIRS_NOISES). Spaces belong to the path, except around it. Empty lines, a byte order mark and CR LF line ends are
/// passed over.
///
/// # Errors
/// The file cannot be read, a line is not UTF-8 or is a command, or there is no path in it.
pub fn read_wav_list(path: impl AsRef<Path>) -> Result<Vec<PathBuf>> {
    let path = path.as_ref();
    let text = Text::read_strict(path)?;
    let mut files = Vec::new();
    for (line, content) in (1..).zip(text.lines()) {
        let content = content.trim_ascii();
        if content.is_empty() {
            continue;
        }
        if content.contains('\r') {
            return Err(
                Error::parse(path, "a carriage return inside a line", "lines that end in LF").at_line(line)
            );
        }
        match WavSource::parse(content) {
            WavSource::File(file) => files.push(file),
            WavSource::Pipe(_) => {
                return Err(Error::parse(path, "a command", "the path of an audio file").at_line(line));
            }
        }
    }
    if files.is_empty() {
        return Err(Error::parse(path, "no path", "a list of audio files, one path a line"));
    }
    Ok(files)
}
