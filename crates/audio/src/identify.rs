//! Which format a file is in, from its first bytes.
//!
//! Left to itself a probe searches a megabyte of whatever it is given for something like an MPEG sync word and finds one in
//! most text corpora. Here a file is audio only if it begins like audio.

/// How a file has to be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Content {
    /// RIFF/WAVE, RF64 or BW64: read by this crate's own parser.
    Wav,
    /// Sun's AU.
    Au,
    /// NIST SPHERE.
    Sphere,
    /// Sony's Wave64.
    W64,
    /// Native FLAC.
    Flac,
    /// MP4 or M4A.
    Mp4,
    /// Another format that Symphonia probes.
    Coded,
}

/// Bytes of the file's start that [`identify`] looks at.
pub(crate) const PREFIX_LEN: usize = 64;

/// The format, or a description of what the content looks like instead.
pub(crate) fn identify(prefix: &[u8]) -> Result<Content, String> {
    let at = |offset: usize, magic: &[u8]| prefix.get(offset..).is_some_and(|rest| rest.starts_with(magic));
    if at(8, b"WAVE") && (at(0, b"RIFF") || at(0, b"RF64") || at(0, b"BW64")) {
        return Ok(Content::Wav);
    }
    if at(0, b".snd") || at(0, b"dns.") {
        return Ok(Content::Au);
    }
    if at(0, b"NIST_1A\n") {
        return Ok(Content::Sphere);
    }
    if at(0, &crate::w64::RIFF) {
        return Ok(Content::W64);
    }
    if at(0, b"fLaC") {
        return Ok(Content::Flac);
    }
    let aiff = at(0, b"FORM") && (at(8, b"AIFF") || at(8, b"AIFC"));
    let matroska = at(0, &[0x1a, 0x45, 0xdf, 0xa3]);
    if at(4, b"ftyp") {
        return Ok(Content::Mp4);
    }
    if at(0, b"OggS") || at(0, b"ID3") || at(0, b"caff") || aiff || matroska || is_mpeg(prefix) {
        return Ok(Content::Coded);
    }
    Err(describe(prefix))
}

/// The sync word of an MPEG audio or ADTS frame with no reserved field.
fn is_mpeg(prefix: &[u8]) -> bool {
    let [0xff, second, third, ..] = *prefix else {
        return false;
    };
    let adts = second & 0xf6 == 0xf0 && (third >> 2) & 0xf <= 12;
    let version_and_layer = second & 0xe0 == 0xe0 && (second >> 3) & 3 != 1 && (second >> 1) & 3 != 0;
    adts || (version_and_layer && third >> 4 != 15 && (third >> 2) & 3 != 3)
}

fn describe(prefix: &[u8]) -> String {
    let known: [(&[u8], &str); 13] = [
        (b"RIFX", "a big-endian RIFX file"),
        (b"RIFF", "a RIFF file that is not WAVE"),
        (b"wvpk", "a WavPack file"),
        (b"MAC ", "a Monkey's Audio file"),
        (b"#!AMR", "an AMR file"),
        (b"version https://git-lfs", "a git-lfs pointer (run `git lfs pull`)"),
        (b"PK\x03\x04", "a zip archive"),
        (b"\x1f\x8b", "a gzip archive"),
        (b"\x93NUMPY", "a NumPy array"),
        (b"\0B", "a Kaldi archive"),
        (b"\x7fELF", "a program"),
        (b"%PDF", "a PDF document"),
        (b"\x30\x26\xb2\x75", "a Windows Media file"),
    ];
    if let Some((_, name)) = known.iter().find(|(magic, _)| prefix.starts_with(magic)) {
        return (*name).to_owned();
    }
    if let Some(text) = printable(prefix) {
        let markup = text.trim_start().to_ascii_lowercase();
        let kind = if markup.starts_with("<!doctype") || markup.starts_with("<html") {
            "an HTML page"
        } else {
            "text"
        };
        let line: String = text.lines().next().unwrap_or_default().chars().take(32).collect();
        return format!("{kind} that begins with {line:?}");
    }
    if prefix.iter().all(|&byte| byte == 0) {
        return "zero bytes".to_owned();
    }
    let hex: Vec<String> = prefix.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    format!("binary data that begins with {}", hex.join(" "))
}

/// The prefix as text, if it is text; a character may be cut off at its end.
fn printable(prefix: &[u8]) -> Option<&str> {
    let text = match std::str::from_utf8(prefix) {
        Ok(text) => text,
        Err(error) if error.error_len().is_none() => {
            std::str::from_utf8(&prefix[..error.valid_up_to()]).ok()?
        }
        Err(_) => return None,
    };
    let plain = |c: char| !c.is_control() || matches!(c, '\n' | '\r' | '\t');
    (!text.is_empty() && text.chars().all(plain)).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_decides() {
        assert_eq!(identify(b"RIFF\0\0\0\0WAVEfmt "), Ok(Content::Wav));
        assert_eq!(identify(b"fLaC\0\0\0\x22"), Ok(Content::Flac));
        assert_eq!(identify(b".snd\0\0\0\x18"), Ok(Content::Au));
        assert_eq!(identify(b"NIST_1A\n   1024\n"), Ok(Content::Sphere));
        assert_eq!(identify(b"\xff\xfb\x90\x64"), Ok(Content::Coded));
        assert_eq!(identify(b"\xff\xf1\x50\x80"), Ok(Content::Coded));
        assert_eq!(identify(b"\0\0\0\x20ftypM4A "), Ok(Content::Mp4));
    }

    #[test]
    fn other_content_is_named() {
        let text = identify(b"utt1 /data/utt1.wav\nutt2").unwrap_err();
        assert_eq!(text, "text that begins with \"utt1 /data/utt1.wav\"");
        assert!(identify(b"<!DOCTYPE html><html>").unwrap_err().contains("HTML"));
        assert!(identify(b"\xff\xff\xff\xff").unwrap_err().contains("ff ff ff ff"));
        assert!(identify(b"RIFF\0\0\0\0AVI ").unwrap_err().contains("not WAVE"));
        assert!(identify("ünïcödé".as_bytes()).unwrap_err().contains("text"));
    }
}
