//! Copies a Kaldi archive value by value: `copy_archive IN.{ark,scp} OUT.ark [--text]`. Writes `OUT.scp` beside it.
//! Compressed matrices come out as plain ones.

use std::path::Path;

use ffsvc_kaldi_io::{ArkForm, ArkReader, ArkWriter, ScpReader};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (input, output, form) = match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [input, output] => (input, output, ArkForm::Binary),
        [input, output, "--text"] => (input, output, ArkForm::Text),
        _ => return Err("usage: copy_archive IN.{ark,scp} OUT.ark [--text]".into()),
    };
    let mut writer = ArkWriter::create(output, Some(&Path::new(output).with_extension("scp")), form)?;
    if input.ends_with(".scp") {
        for entry in ScpReader::open(input)?.values() {
            let (key, value) = entry?;
            writer.write(key, &value)?;
        }
    } else {
        for entry in ArkReader::open(input)? {
            let (key, value) = entry?;
            writer.write(&key, &value)?;
        }
    }
    Ok(writer.finish()?)
}
