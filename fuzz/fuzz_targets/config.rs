//! The configuration of an experiment, as TOML, with and without an overridden setting.
#![no_main]

use ffsvc_fuzz::with_file;
use ffsvc_trainer::ExperimentConfig;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    with_file("fuzz.toml", data, |path| {
        let _ = ffsvc_cli::load_config::<ExperimentConfig>(path, &["train.epochs=3".to_owned()]);
        let Ok(config) = ffsvc_cli::load_config::<ExperimentConfig>(path, &[]) else { return };
        if config.check().is_err() {
            return;
        }
        config.input_paths();
        let text = config.to_toml().expect("a configuration can be written");
        let again = toml_again(&text);
        assert_eq!(again.to_toml().expect("a configuration can be written"), text);
    });
});

fn toml_again(text: &str) -> ExperimentConfig {
    with_file("again.toml", text.as_bytes(), |path| ffsvc_cli::load_config(path, &[]))
        .expect("a written configuration can be read")
}
