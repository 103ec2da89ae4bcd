//! What every architecture gives, so that [`SpeakerModel`](crate::SpeakerModel) needs to know no more of it.

use burn::tensor::{Device, Tensor};

use crate::error::Result;
use crate::padding::Padding;
use crate::windows::Windows;

/// What [`ModelConfig`](crate::ModelConfig) asks of the options of every architecture, beside `validate` and the field `embedding_size`.
pub(crate) trait NetworkConfig {
    /// The network that they describe.
    type Network: Network;

    /// Least number of frames that the network can take.
    fn min_frames(&self) -> usize;

    /// How many layers the options repeat at most; 0 where no option says how many there are without a limit.
    fn layers(&self) -> usize {
        0
    }

    /// Fails where the network cannot take features of so many rows, which is where it cannot divide them.
    fn validate_rows(&self, _num_mels: usize) -> Result<()> {
        Ok(())
    }

    /// The network with its parameters still to be drawn. The options were validated.
    fn build(&self, num_mels: usize, device: &Device) -> Self::Network;
}

/// What [`SpeakerModel`](crate::SpeakerModel) asks of every network, beside `forward`.
pub(crate) trait Network {
    /// Least number of frames that it can take.
    fn min_frames(&self) -> usize;

    /// Whether [`forward_padded`](Self::forward_padded) gives something.
    fn supports_padding(&self) -> bool {
        false
    }

    /// As `forward`, in evaluation, of utterances of different lengths; `None` where padding cannot be left out.
    fn forward_padded(&self, _features: Tensor<3>, _padding: Padding) -> Option<Tensor<2>> {
        None
    }

    /// The windows in which it sees a recording outside training; `None` where it sees the recording as a whole.
    fn windows(&self) -> Option<Windows> {
        None
    }
}
