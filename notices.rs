//! What a person should know about recordings that could be used all the same.

use std::collections::BTreeMap;
use std::fmt;

use ffsvc_audio::{AudioInfo, Channel, ReadOptions};
use ffsvc_features::{Levels, QualityLimits};
use serde::{Deserialize, Serialize};

/// How many recordings a line names.
const NAMED: usize = 3;

/// A kind of notice about a recording.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Notice {
    /// It has another sample rate than the one asked for and was converted.
    OtherRate,
    /// It has several channels, of which one was taken.
    SeveralChannels,
    /// It has several channels, and the one taken is silent.
    SilentChannel,
    /// It is silent.
    Silent,
    /// It is shorter than the training crop and was repeated.
    Repeated,
}

impl Notice {
    /// What there is to say about a recording that `options` read as `samples`.
    ///
    /// It counts as silent by [`QualityLimits::silence_dbfs`].
    pub fn of(info: &AudioInfo, options: &ReadOptions, samples: &[f32]) -> Vec<Self> {
        let several = info.channels > 1 && options.channel != Channel::Mix;
        let mut notices = Vec::new();
        if options.sample_rate.is_some_and(|rate| rate != info.sample_rate) {
            notices.push(Self::OtherRate);
        }
        if info.channels > 1 && options.channel == Channel::First {
            notices.push(Self::SeveralChannels);
        }
        if Levels::measure(samples).peak_dbfs() < QualityLimits::default().silence_dbfs {
            notices.push(if several { Self::SilentChannel } else { Self::Silent });
        }
        notices
    }
}

/// Recordings of one kind.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Noticed {
    /// How many.
    pub count: u64,
    /// The first three.
    pub first: Vec<String>,
}

/// Notices about the recordings of a list, counted by kind.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Notices {
    kinds: BTreeMap<Notice, Noticed>,
}

impl Notices {
    /// Counts a recording. Each is to be noted once a kind.
    pub fn note(&mut self, notice: Notice, name: &str) {
        let noticed = self.kinds.entry(notice).or_default();
        noticed.count += 1;
        if noticed.first.len() < NAMED {
            noticed.first.push(name.to_owned());
        }
    }

    /// Whether there is nothing to say.
    pub fn is_empty(&self) -> bool {
        self.kinds.is_empty()
    }

    /// The recordings of one kind.
    pub fn get(&self, notice: Notice) -> Option<&Noticed> {
        self.kinds.get(&notice)
    }

    /// One line a kind, for recordings that were read with `options`.
    pub fn lines(&self, options: &ReadOptions) -> Vec<String> {
        self.kinds.iter().map(|(&notice, noticed)| line(notice, noticed, options)).collect()
    }
}

fn line(notice: Notice, noticed: &Noticed, options: &ReadOptions) -> String {
    let rate = options.sample_rate.map_or_else(|| "asked for".to_owned(), |rate| format!("{rate} Hz"));
    let channel = ChannelName(options.channel);
    let (verb, what) = match notice {
        Notice::OtherRate => (["has", "have"], format!("a sample rate other than {rate}; converted")),
        Notice::SeveralChannels => (["has", "have"], format!("several channels; {channel} was taken")),
        Notice::SilentChannel => (["has", "have"], format!("several channels, and {channel}, which was taken, is silent")),
        Notice::Silent => (["is", "are"], "silent".to_owned()),
        Notice::Repeated => (["is", "are"], "shorter than the crop; repeated".to_owned()),
    };
    let (noun, verb) = if noticed.count == 1 { ("recording", verb[0]) } else { ("recordings", verb[1]) };
    let more = if noticed.count > noticed.first.len() as u64 { ", ..." } else { "" };
    format!("{} {noun} {verb} {what}: {}{more}", noticed.count, noticed.first.join(", "))
}

struct ChannelName(Channel);

impl fmt::Display for ChannelName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Channel::First => write!(f, "the first (channel 0)"),
            Channel::Index(index) => write!(f, "channel {index}"),
            Channel::Mix => write!(f, "the mean"),
        }
    }
}

#[cfg(test)]
mod tests {
    use ffsvc_audio::{AudioFile, SampleFormat, write_wav};

    use super::*;

    #[test]
    fn a_line_counts_and_names_the_first_three() {
        let mut notices = Notices::default();
        for name in ["a", "b", "c", "d"] {
            notices.note(Notice::OtherRate, name);
        }
        notices.note(Notice::SilentChannel, "b");
        let options = ReadOptions::at_rate(16_000);
        assert_eq!(
            notices.lines(&options),
            [
                "4 recordings have a sample rate other than 16000 Hz; converted: a, b, c, ...",
                "1 recording has several channels, and the first (channel 0), which was taken, is silent: b",
            ]
        );
        let json = serde_json::to_string(&notices).unwrap();
        assert!(json.contains(r#""other_rate":{"count":4,"first":["a","b","c"]}"#), "{json}");
        assert_eq!(serde_json::from_str::<Notices>(&json).unwrap(), notices);
    }

    #[test]
    fn a_recording_is_noticed_for_its_rate_and_its_silence() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.wav");
        write_wav(&path, &[0.0; 8000], 8000, SampleFormat::Pcm16).unwrap();
        let options = ReadOptions::at_rate(16_000);
        let mut file = AudioFile::open(&path).unwrap();
        let samples = file.read(&options).unwrap().samples;
        assert_eq!(Notice::of(file.info(), &options, &samples), [Notice::OtherRate, Notice::Silent]);
        assert_eq!(Notice::of(file.info(), &ReadOptions::default(), &[0.1, -0.1]), []);
    }
}
