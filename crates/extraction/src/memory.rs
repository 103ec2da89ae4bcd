//! How much memory there is, and how much a recording takes.

use std::fs;
use std::sync::Mutex;

use ffsvc_models::{
    ERes2NetConfig, ERes2NetV2Config, ModelConfig, PoolingConfig, Res2NetConfig, frames_at_once,
};

use crate::windows::WINDOWS_TOGETHER;

/// The share of the available memory that is planned with: estimates are rounded, and others take memory too.
const PLANNED_SHARE: f64 = 0.85;

/// What this process may take beyond what it holds once the model is loaded.
#[derive(Debug, Clone)]
pub(crate) struct Memory {
    /// Given by the caller, in place of all else.
    fixed: Option<u64>,
    /// Held when this was made, bytes.
    held: Held,
}

#[derive(Debug, Clone, Copy, Default)]
struct Held {
    address_space: u64,
    resident: u64,
}

impl Memory {
    /// What the process may take from now on; at most `fixed` bytes, if given.
    pub(crate) fn from_now(fixed: Option<u64>) -> Self {
        Self { fixed, held: held().unwrap_or_default() }
    }

    /// Bytes that can be planned with while no recording is in work. `u64::MAX` where the system does not tell.
    ///
    /// What an earlier recording left with the allocator counts as free: the allocator gives it out again.
    pub(crate) fn available(&self) -> u64 {
        if let Some(fixed) = self.fixed {
            return fixed;
        }
        let Some(now) = held() else { return u64::MAX };
        let reusable = now.resident.saturating_sub(self.held.resident);
        let free = [
            address_space_limit().map(|limit| limit.saturating_sub(self.held.address_space)),
            machine_free().map(|free| free + reusable),
            control_group_free().map(|free| free + reusable),
        ];
        match free.into_iter().flatten().min() {
            Some(free) => (free as f64 * PLANNED_SHARE) as u64,
            None => u64::MAX,
        }
    }
}

/// The number of bytes behind `key` in a file of lines `key value kB`.
fn kilobytes(text: &str, key: &str) -> Option<u64> {
    let rest = text.lines().find_map(|line| line.strip_prefix(key))?;
    let number = rest.trim_start_matches(':').split_whitespace().next()?;
    Some(number.parse::<u64>().ok()? * 1024)
}

fn held() -> Option<Held> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    Some(Held { address_space: kilobytes(&status, "VmSize")?, resident: kilobytes(&status, "VmRSS")? })
}

/// `ulimit -v`.
fn address_space_limit() -> Option<u64> {
    let limits = fs::read_to_string("/proc/self/limits").ok()?;
    let line = limits.lines().find_map(|line| line.strip_prefix("Max address space"))?;
    line.split_whitespace().next()?.parse().ok()
}

fn machine_free() -> Option<u64> {
    kilobytes(&fs::read_to_string("/proc/meminfo").ok()?, "MemAvailable")
}

/// What a container may still take (cgroup v2). Cached files count as free.
fn control_group_free() -> Option<u64> {
    let groups = fs::read_to_string("/proc/self/cgroup").ok()?;
    let path = groups.lines().find_map(|line| line.strip_prefix("0::"))?;
    // Inside a container its own group is mounted as the root.
    [format!("/sys/fs/cgroup{path}"), "/sys/fs/cgroup".to_owned()].iter().find_map(|folder| {
        let number =
            |file: &str| fs::read_to_string(format!("{folder}/{file}")).ok()?.trim().parse::<u64>().ok();
        let (limit, used) = (number("memory.max")?, number("memory.current")?);
        let stat = fs::read_to_string(format!("{folder}/memory.stat")).ok()?;
        let cached = stat.lines().find_map(|line| line.strip_prefix("inactive_file "))?.parse().ok()?;
        Some(limit.saturating_sub(used.saturating_sub(cached)))
    })
}

/// What recordings that are in work together have been promised.
pub(crate) struct Reservations {
    available: u64,
    promised: Mutex<Promised>,
}

#[derive(Default)]
struct Promised {
    /// For samples and features, all together.
    recordings: u64,
    /// For the network, of the largest recording alone: it may have to run alone.
    network: u64,
    count: usize,
}

/// The answer to a recording that asks for memory.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Admission {
    Granted,
    /// It fits, but not beside the others.
    Later,
    /// It never fits.
    Never,
}

impl Reservations {
    pub(crate) fn new(available: u64) -> Self {
        Self { available, promised: Mutex::default() }
    }

    pub(crate) fn available(&self) -> u64 {
        self.available
    }

    /// Asks for `recording` bytes of samples and features, and `network` bytes while the network runs on them.
    pub(crate) fn admit(&self, recording: u64, network: u64) -> Admission {
        let fits = |recordings: u64, network: u64| recordings.saturating_add(network) <= self.available;
        if !fits(recording, network) {
            return Admission::Never;
        }
        let mut promised = self.promised.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let recordings = promised.recordings.saturating_add(recording);
        let network = promised.network.max(network);
        if promised.count > 0 && !fits(recordings, network) {
            return Admission::Later;
        }
        *promised = Promised { recordings, network, count: promised.count + 1 };
        Admission::Granted
    }
}

/// Most bytes that are held at once from the file to the features of a recording.
pub(crate) fn recording_bytes(samples: u64, converted: u64, num_mels: usize, frames: u64) -> u64 {
    let sample = size_of::<f32>() as u64;
    3 * sample * samples + 4 * sample * converted + 3 * sample * num_mels as u64 * frames
}

/// Most bytes that the network holds at once for one recording in evaluation, beyond its weights. They are counted in
/// feature maps of the widest part. `tests/memory.rs` checks that this is 1.2 to 2 times what the allocator counts. The
/// margin is needed because an allocator also keeps freed blocks that fit nothing.
pub(crate) fn network_bytes(config: &ModelConfig, num_mels: usize, frames: u64) -> u64 {
    let floats = |values: usize, frames: u64| (values * size_of::<f32>()) as u64 * frames;
    let block = frames_at_once(frames);
    // An ECAPA-TDNN in blocks keeps what its SE-Res2 blocks read and give, four maps, and what a block is in work on.
    let ecapa = |channels: usize, at_once: usize| {
        let in_blocks = floats(5 * channels, frames) + floats(at_once / 2, block);
        if block < frames { in_blocks } else { floats(at_once, frames) }
    };
    // Values per frame of the widest feature map, times the number of such maps that are alive together.
    match config {
        ModelConfig::Resnet(config) => {
            // Bottleneck blocks end with four times their channels.
            let (planes, maps) =
                if config.depth < 50 { (config.in_planes, 4) } else { (4 * config.in_planes, 3) };
            // The last map has an eighth of the values. Only an attention needs all of it.
            let whole = match config.pooling {
                PoolingConfig::Attentive | PoolingConfig::Astp | PoolingConfig::Mqmha => {
                    planes * num_mels / 8 * 2
                }
                PoolingConfig::StatsAll | PoolingConfig::Tstp => 0,
            };
            floats(maps * planes * num_mels, block).max(floats(whole, frames))
        }
        ModelConfig::ERes2Net(ERes2NetConfig { in_planes, expansion, .. })
        | ModelConfig::ERes2NetV2(ERes2NetV2Config { in_planes, expansion, .. }) => {
            floats(4 * in_planes * expansion * num_mels, block)
        }
        // Every block weighs its values by a mean over the whole recording.
        ModelConfig::SimAmResnet(config) => floats(6 * config.in_planes * num_mels, frames),
        ModelConfig::Res2Net(Res2NetConfig { in_planes, expansion, .. }) => {
            floats(4 * in_planes * expansion * num_mels, block)
        }
        // A block has four times its channels inside, at half the frequencies; the stem has all of them.
        ModelConfig::GeminiDfResnet(config) => floats(7 * config.in_planes * num_mels, block),
        // The stem and the first stage see all frequencies.
        ModelConfig::RepVgg(config) => {
            floats(3 * config.widths[0].max(config.widths[1] / 2) * num_mels, block)
        }
        ModelConfig::ReDimNet2(config) => {
            // Most is held by the outputs of all stages at the end, or by the first blocks, which see all frames.
            let rows = config.channels * num_mels;
            let inner = config.stages.first().map_or(0, |stage| stage.inner_channels) * num_mels;
            let at_the_end = rows * (config.stages.len() + 4) + inner;
            floats(at_the_end.max(2 * rows + 3 * inner + 2 * 4 * 512), frames)
        }
        ModelConfig::ReDimNet(config) => {
            // The outputs of all stages, what is inside a block, and the attention's table for some hundred queries.
            let expansion = config.stages.iter().map(|stage| stage.expansion).max().unwrap_or(1);
            let rows = config.channels * num_mels;
            floats(rows * (config.stages.len() + 4 + 5 * expansion) + 3 * 4 * 512, frames)
        }
        // The dense blocks are whole, at half the frame rate: 512 channels and a bottleneck.
        ModelConfig::CamPlusPlus(_) => floats(3 * 32 * num_mels, block).max(floats(800, frames)),
        ModelConfig::EcapaTdnn(config) => ecapa(config.hidden_dim, 13 * config.hidden_dim),
        // The xi-vector's pooling is of the whole.
        ModelConfig::WespeakerEcapaTdnn(config) if config.xi => floats(13 * config.aggregated / 3, frames),
        ModelConfig::WespeakerEcapaTdnn(config) => ecapa(config.channels, 13 * config.aggregated / 3),
        ModelConfig::SpeechBrainEcapaTdnn(config) => ecapa(config.channels, 8 * config.aggregated),
        // In blocks, what the last layers read and give is kept, and what a block of the pooling is in work on.
        ModelConfig::TitaNet(config) => {
            let widest = config.aggregated.max(config.channels);
            if block < frames {
                floats((widest + config.channels) * 5 / 4, frames) + floats(2 * widest, block)
            } else {
                floats(6 * widest, frames)
            }
        }
        // Some windows at a time: the products of a layer's input, what it reads and what it gives.
        ModelConfig::Ge2eLstm(config) => {
            let windows = config.windows;
            let count = windows.count(usize::try_from(frames).unwrap_or(usize::MAX));
            floats(count.min(WINDOWS_TOGETHER) * 9 * config.hidden, windows.frames as u64)
        }
        ModelConfig::Tdnn(config) => floats(3 * config.stats_dim.max(config.hidden_dim), block),
    }
}
