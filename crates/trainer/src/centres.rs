//! Rows of a new head that begin where the speakers are.

use burn::module::Module;
use burn::tensor::Device;
use ffsvc_audio::ReadOptions;
use ffsvc_dataset::TrainingSet;
use ffsvc_models::ModelInfo;

use crate::error::{Error, Result};
use crate::network::Network;
use crate::recordings;

/// Recordings of a speaker that are averaged, at most.
const PER_SPEAKER: usize = 20;

/// Puts the rows of the first classes of the head, those of the speakers of `set`, in the directions of their centres. A centre
/// is the mean embedding of a speaker's whole recordings, of 20 of them if there are more. `info` describes the network, which
/// is on `device`.
///
/// # Errors
/// A head without classes; a recording that cannot be read.
pub(crate) fn place(
    network: Network,
    info: &ModelInfo,
    set: &TrainingSet,
    read: &ReadOptions,
    device: &Device,
) -> Result<Network> {
    let Network { model, head } = network;
    if head.num_classes() == 0 {
        return Err(Error::Config {
            key: "head.kind",
            found: "\"none\" with --head centres".into(),
            expected: "a head that has classes, or --head new".into(),
        });
    }
    let members = members(set);
    tracing::info!("the centres of {} speakers are of {} recordings", set.speakers.len(), members.len());
    // The head is trained on embeddings as the network gives them.
    let mut info = info.clone();
    info.embedding_mean = None;
    let plain = device.clone().without_autodiff();
    let embeddings = recordings::embed((&model.valid(), &info), &plain, set, &members, read)?;

    let size = info.model.embedding_size();
    let mut centres: Vec<(usize, Vec<f32>)> =
        (0..set.speakers.len()).map(|speaker| (speaker, vec![0.0; size])).collect();
    for (member, embedding) in members.iter().zip(embeddings.chunks(size)) {
        // The direction of the sum is that of the mean.
        let (_, sum) = &mut centres[set.utterances[*member as usize].label as usize];
        sum.iter_mut().zip(embedding).for_each(|(sum, value)| *sum += value);
    }
    Ok(Network { model, head: head.with_centres(&centres)? })
}

/// The recordings of every speaker that are averaged, spread evenly over all that it has.
fn members(set: &TrainingSet) -> Vec<u32> {
    let mut of_speakers = vec![Vec::new(); set.speakers.len()];
    for (index, utterance) in set.utterances.iter().enumerate() {
        of_speakers[utterance.label as usize].push(index as u32);
    }
    let spread = |of_speaker: Vec<u32>| {
        let count = of_speaker.len().min(PER_SPEAKER);
        (0..count).map(|number| of_speaker[number * of_speaker.len() / count]).collect::<Vec<_>>()
    };
    of_speakers.into_iter().flat_map(spread).collect()
}
