//! Which layer of one graph is which of another: layers are told apart by their shapes and settings, by what they read and by
//! what reads them. The names and the order of the nodes decide nothing, except among layers that are alike in all of that.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};

use super::layers::Layer;

/// For each of our layers, the one of theirs.
///
/// Layers get a colour, and from round to round a colour made of their own and those of the layers before and behind them,
/// until no round tells more layers apart ([Weisfeiler and Leman 1968](https://www.iti.zcu.cz/wl2018/pdf/wl_paper_translation.pdf)).
pub(super) fn matched(ours: &[Layer<'_>], theirs: &[Layer<'_>]) -> Result<Vec<usize>, String> {
    if ours.len() != theirs.len() {
        return Err(format!("{} layers with weights, and the network has {}", theirs.len(), ours.len()));
    }
    let mut colours: [Vec<u64>; 2] = [ours, theirs].map(|layers| layers.iter().map(own_colour).collect());
    let behind = [ours, theirs].map(readers);
    let mut num_colours = number_of(&colours);
    first_difference(&colours, theirs)?;
    loop {
        for ((colours, layers), behind) in colours.iter_mut().zip([ours, theirs]).zip(&behind) {
            *colours = (0..layers.len())
                .map(|place| {
                    let of = |places: &[usize]| {
                        let mut of: Vec<u64> = places.iter().map(|&place| colours[place]).collect();
                        of.sort_unstable();
                        of
                    };
                    colour(&(colours[place], of(&layers[place].before), of(&behind[place])))
                })
                .collect();
        }
        let now = number_of(&colours);
        if now <= num_colours {
            break;
        }
        num_colours = now;
    }
    first_difference(&colours, theirs)?;
    let [our_colours, their_colours] = &colours;
    let mut places: HashMap<u64, Vec<usize>> = HashMap::new();
    for (place, &colour) in their_colours.iter().enumerate().rev() {
        places.entry(colour).or_default().push(place);
    }
    let found: Vec<usize> =
        our_colours.iter().filter_map(|colour| places.get_mut(colour).and_then(Vec::pop)).collect();
    // Layers that are alike may have been taken in an order that is not the same for those that read them.
    for (layer, &place) in ours.iter().zip(&found) {
        let mut before: Vec<usize> = layer.before.iter().map(|&place| found[place]).collect();
        before.sort_unstable();
        if before != theirs[place].before {
            return Err(format!("the layer {} reads other layers", described(&theirs[place])));
        }
    }
    Ok(found)
}

fn own_colour(layer: &Layer<'_>) -> u64 {
    colour(&(&layer.kind, layer.shape(), &layer.activations, layer.is_first))
}

fn colour(value: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}

/// The layers that read each layer.
fn readers(layers: &[Layer<'_>]) -> Vec<Vec<usize>> {
    let mut readers = vec![Vec::new(); layers.len()];
    for (place, layer) in layers.iter().enumerate() {
        layer.before.iter().for_each(|&before| readers[before].push(place));
    }
    readers
}

fn number_of([ours, _]: &[Vec<u64>; 2]) -> usize {
    let mut colours = ours.clone();
    colours.sort_unstable();
    colours.dedup();
    colours.len()
}

/// Fails with the first of their layers that there are more of than of ours.
fn first_difference([ours, theirs]: &[Vec<u64>; 2], layers: &[Layer<'_>]) -> Result<(), String> {
    let mut left: HashMap<u64, usize> = HashMap::new();
    ours.iter().for_each(|&colour| *left.entry(colour).or_default() += 1);
    for (layer, colour) in layers.iter().zip(theirs) {
        match left.get_mut(colour) {
            Some(left) if *left > 0 => *left -= 1,
            _ => return Err(format!("the layer {} is none of the network's", described(layer))),
        }
    }
    Ok(())
}

/// Name, operator and shape of a layer.
pub(super) fn described(layer: &Layer<'_>) -> String {
    let shape = layer.shape().unwrap_or_default();
    format!("{:?} ({} {shape:?})", layer.node.name, layer.node.op_type)
}
