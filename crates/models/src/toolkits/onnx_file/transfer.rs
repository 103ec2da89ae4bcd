//! The numbers of a file's layers as the tensors of ours.

use std::collections::HashMap;

use super::constants::Constant;
use super::layers::{Layer, Normalisation};
use super::matching::described;
use crate::parameters::NamedTensor;

/// Tensors by our names, as many as the layers have. `pairs` are our layers with theirs; `shapes` are those of our tensors.
pub(super) fn tensors(
    pairs: &[(&Layer<'_>, &Layer<'_>)],
    shapes: &HashMap<&str, &[usize]>,
) -> Result<Vec<NamedTensor>, String> {
    let mut transfer = Transfer { shapes, tensors: Vec::new() };
    for (ours, theirs) in pairs {
        transfer.layer(ours, theirs).map_err(|cause| format!("the layer {}: {cause}", described(theirs)))?;
    }
    Ok(transfer.tensors)
}

struct Transfer<'a> {
    shapes: &'a HashMap<&'a str, &'a [usize]>,
    tensors: Vec<NamedTensor>,
}

impl Transfer<'_> {
    fn layer(&mut self, ours: &Layer<'_>, theirs: &Layer<'_>) -> Result<(), String> {
        if let (Some(ours), Some(theirs)) = (&ours.weight, &theirs.weight) {
            self.put(ours, theirs.values()?)?;
        }
        let bias = theirs.bias.as_ref().map(Constant::values).transpose()?;
        match (&ours.normalisation, &theirs.normalisation) {
            (Some(ours), Some(theirs)) => self.normalisation(ours, theirs)?,
            // The exporter has joined it to the layer: what is left of it is a bias.
            (Some(normalisation), None) => {
                self.folded(normalisation, bias)?;
                return ours.bias.as_ref().map_or(Ok(()), |bias| self.fill(bias, 0.0));
            }
            (None, Some(_)) => {
                return Err("a batch normalisation follows, which the network does not have".into());
            }
            (None, None) => {}
        }
        match (&ours.bias, bias) {
            (Some(ours), Some(bias)) => self.put(ours, bias),
            (Some(ours), None) => self.fill(ours, 0.0),
            (None, Some(bias)) if bias.iter().any(|&value| value != 0.0) => {
                Err("it has a bias, and the network's layer has none".into())
            }
            (None, _) => Ok(()),
        }
    }

    fn normalisation(&mut self, ours: &Normalisation<'_>, theirs: &Normalisation<'_>) -> Result<(), String> {
        if ours.epsilon != theirs.epsilon {
            return Err(format!("{} is added to the variance, expected {}", theirs.epsilon, ours.epsilon));
        }
        self.put(&ours.mean, theirs.mean.values()?)?;
        self.put(&ours.variance, theirs.variance.values()?)?;
        let (scale, shift) = (theirs.scale.values()?, theirs.shift.values()?);
        if self.is_tensor(&ours.scale) {
            self.put(&ours.scale, scale)?;
            return self.put(&ours.shift, shift);
        }
        let is_plain = scale.iter().all(|&scale| scale == 1.0) && shift.iter().all(|&shift| shift == 0.0);
        if is_plain { Ok(()) } else { Err("it has a scale or a shift, which the network's does not".into()) }
    }

    /// A batch normalisation that adds `bias` and changes nothing else.
    fn folded(&mut self, ours: &Normalisation<'_>, bias: Option<Vec<f32>>) -> Result<(), String> {
        // The square root of the variance and the number that is added to it is 1 in 32 bits.
        self.fill(&ours.variance, (1.0 - f64::from(ours.epsilon)) as f32)?;
        let bias = match bias {
            Some(bias) => bias,
            None => vec![0.0; self.size(&ours.mean)?],
        };
        if self.is_tensor(&ours.scale) {
            self.fill(&ours.mean, 0.0)?;
            self.fill(&ours.scale, 1.0)?;
            return self.put(&ours.shift, bias);
        }
        self.put(&ours.mean, bias.iter().map(|value| -value).collect())
    }

    /// Whether the network has the constant as a tensor. A graph also has scales of 1.
    fn is_tensor(&self, ours: &Constant<'_>) -> bool {
        self.shapes.contains_key(ours.name())
    }

    fn size(&self, ours: &Constant<'_>) -> Result<usize, String> {
        let shape = self.shapes.get(ours.name()).ok_or_else(|| format!("{} is no tensor", ours.name()))?;
        Ok(shape.iter().product())
    }

    fn fill(&mut self, ours: &Constant<'_>, value: f32) -> Result<(), String> {
        let size = self.size(ours)?;
        self.put(ours, vec![value; size])
    }

    fn put(&mut self, ours: &Constant<'_>, values: Vec<f32>) -> Result<(), String> {
        let size = self.size(ours)?;
        if values.len() != size {
            return Err(format!("{} values for {}, expected {size}", values.len(), ours.name()));
        }
        let name = ours.name().to_owned();
        let shape = self.shapes.get(ours.name()).map(|shape| shape.to_vec()).unwrap_or_default();
        self.tensors.push(NamedTensor { name, shape, data: values });
        Ok(())
    }
}
