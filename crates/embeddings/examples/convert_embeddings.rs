//! Converts an embedding store into another form: `convert_embeddings IN OUT`, forms by extension.

use ffsvc_embeddings::Embeddings;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [input, output] = arguments.as_slice() else {
        return Err("usage: convert_embeddings IN OUT (.ark, .scp, .npz, .safetensors; IN also .npy)".into());
    };
    let store = Embeddings::read(input)?;
    store.write(output)?;
    println!("{} embeddings of {} dimensions", store.len(), store.dim());
    Ok(())
}
