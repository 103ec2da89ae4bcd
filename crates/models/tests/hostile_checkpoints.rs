//! Checkpoints that are damaged or were made to do harm: each is an error in little memory, and nothing of it is run.

#[path = "../../kaldi-io/tests/memory/mod.rs"]
mod memory;

use std::io::Write;
use std::path::Path;

use burn::tensor::Device;
use ffsvc_models::toolkits::{ExportFormat, ImportOptions, TensorFile, Toolkit, export_model, import_model};
use ffsvc_models::{EcapaTdnnConfig, ModelConfig, ModelInfo, OnnxInput, export_onnx};
use ffsvc_onnx::{Graph, Message as _, Model, Named, Node};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

/// Most memory for a file of some hundred bytes, whatever it says about itself.
const FIXED: usize = 1 << 20;
/// The same where it copies one value again and again: so much does `pytorch-reader` allow.
const COPIES: usize = 128 << 20;
/// And for each byte of the file.
const PER_BYTE: usize = 300;

fn concat(parts: &[&[u8]]) -> Vec<u8> {
    parts.concat()
}

/// BINUNICODE.
fn text(text: &str) -> Vec<u8> {
    concat(&[b"X", &(text.len() as u32).to_le_bytes(), text.as_bytes()])
}

/// The tensor `_rebuild_tensor_v2` of storage `0` with `numel` floats; shape and strides are opcodes of a tuple.
fn tensor(numel: i32, shape: &[u8], strides: &[u8]) -> Vec<u8> {
    concat(&[
        b"ctorch._utils\n_rebuild_tensor_v2\n((",
        &text("storage"),
        b"ctorch\nFloatStorage\n",
        &text("0"),
        &text("cpu"),
        b"J",
        &numel.to_le_bytes(),
        b"tQK\x00",
        shape,
        strides,
        b"\x89ccollections\nOrderedDict\n)RtR",
    ])
}

/// A pickle of protocol 2.
fn pickle(body: &[u8]) -> Vec<u8> {
    concat(&[b"\x80\x02", body, b"."])
}

/// A dictionary of one value.
fn dictionary(key: &str, value: &[u8]) -> Vec<u8> {
    pickle(&concat(&[b"}", &text(key), value, b"s"]))
}

/// A zip file with these entries.
fn zip(entries: &[(&str, &[u8])], method: CompressionMethod) -> Vec<u8> {
    let mut zip = ZipWriter::new(std::io::Cursor::new(Vec::new()));
    let options = SimpleFileOptions::default().compression_method(method);
    for (name, bytes) in entries {
        zip.start_file(*name, options).unwrap();
        zip.write_all(bytes).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

/// A checkpoint in the zip format with four bytes of numbers.
fn checkpoint(pickle: &[u8]) -> Vec<u8> {
    zip(&[("archive/data.pkl", pickle), ("archive/data/0", &[0; 4])], CompressionMethod::Stored)
}

/// A checkpoint in the legacy format; `after` follows the list of storages.
fn legacy(object: &[u8], after: &[u8]) -> Vec<u8> {
    let magic = b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.";
    let system = dictionary("little_endian", b"\x88");
    let keys = pickle(&concat(&[b"](", &text("0"), b"e"]));
    concat(&[magic, b"\x80\x02M\xe9\x03.", &system, object, &keys, after])
}

fn small() -> ModelConfig {
    ModelConfig::EcapaTdnn(EcapaTdnnConfig {
        hidden_dim: 8,
        scale: 2,
        bottleneck: 2,
        embedding_size: 2,
        compat: true,
    })
}

/// A whole, small checkpoint.
fn sound(folder: &Path) -> Vec<u8> {
    let config = small();
    let model = config.init(80, &Device::flex()).unwrap();
    let path = folder.join("sound.pkl");
    export_model(&path, &config, &model, None, ExportFormat::Torch(Toolkit::Ffsvc)).unwrap();
    std::fs::read(path).unwrap()
}

fn baseline() -> ImportOptions {
    let mut options = ImportOptions::default();
    options.toolkit = Some(Toolkit::Ffsvc);
    options
}

/// The error of importing a file with this content, after a look at the memory that it took.
fn refused(content: &[u8]) -> String {
    refused_within(content, FIXED)
}

fn refused_within(content: &[u8], fixed: usize) -> String {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("checkpoint.pkl");
    std::fs::write(&path, content).unwrap();
    let (result, peak) = memory::peak(|| import_model(&path, &baseline(), &Device::flex()).map(|_| ()));
    let bound = fixed + PER_BYTE * content.len();
    assert!(peak < bound, "{peak} bytes of memory for a file of {}", content.len());
    result.expect_err("the file must be refused").to_string()
}

#[test]
fn the_builders_of_these_tests_make_files_that_can_be_read() {
    let folder = tempfile::tempdir().unwrap();
    let one = dictionary("a", &tensor(1, b"K\x01\x85", b"K\x01\x85"));
    for content in [checkpoint(&one), legacy(&one, &concat(&[&1i64.to_le_bytes(), &2.5f32.to_le_bytes()]))] {
        let path = folder.path().join("file");
        std::fs::write(&path, content).unwrap();
        let file = TensorFile::open(&path).unwrap();
        assert_eq!(file.names().collect::<Vec<_>>(), ["a"]);
        assert_eq!(file.read("a").unwrap().shape, [1]);
    }
    std::fs::write(folder.path().join("file"), sound(folder.path())).unwrap();
    import_model(folder.path().join("file"), &baseline(), &Device::flex()).unwrap();
}

#[test]
fn truncated_and_damaged_files_are_errors() {
    let folder = tempfile::tempdir().unwrap();
    let whole = sound(folder.path());
    for part in [0, 1, 3, 30, whole.len() / 2, whole.len() - 1] {
        refused(&whole[..part]);
    }
    let one = dictionary("a", &tensor(1, b"K\x01\x85", b"K\x01\x85"));
    let old = legacy(&one, &concat(&[&1i64.to_le_bytes(), &[0; 4]]));
    for part in 0..old.len() {
        refused(&old[..part]);
    }
    for (content, reason) in [
        (b"<!DOCTYPE html><html>not found</html>".to_vec(), "neither a zip nor a legacy file"),
        (vec![0; 4096], "neither a zip nor a legacy file"),
        (zip(&[("a.txt", b"x")], CompressionMethod::Stored), "No data.pkl"),
        (checkpoint(b""), "the pickle ends"),
        (checkpoint(b"\x80\x02\xfe."), "0xfe is no opcode"),
        (checkpoint(&dictionary("a", b"N")), "has 0 tensors"),
        (concat(&[b"PK", &[0; 255], b"ustar", &[0; 512]]), "of a .nemo file, unpack it"),
        (concat(&[&old, &vec![0; 257 - old.len()], b"ustar", &[0; 512]]), "neither a zip nor a legacy file"),
        (checkpoint(&dictionary("a", &tensor(1, b"K\x01\x85", b"K\x01\x85"))), "among them a"),
        (concat(&[&u64::MAX.to_le_bytes(), b"{}"]), "expected a safetensors file"),
        (concat(&[&1000u64.to_le_bytes(), b"{\"a\""]), "expected a safetensors file"),
        (
            concat(&[
                &60u64.to_le_bytes(),
                b"{\"a\":{\"dtype\":\"F32\",\"shape\":[9],\"data_offsets\":[0,36]}}   ",
                &[0; 8],
            ]),
            "expected a safetensors file",
        ),
    ] {
        let error = refused(&content);
        assert!(error.contains(reason), "{reason}: {error}");
    }
}

#[test]
fn foreign_classes_are_refused_by_name() {
    let call = |name: &[u8]| pickle(&concat(&[name, &text("id"), b"\x85R"]));
    for (pickle, name) in [
        (call(b"cos\nsystem\n"), "`os.system`"),
        (call(b"cbuiltins\neval\n"), "`builtins.eval`"),
        (
            b"\x80\x04\x8c\x05posix\x94\x8c\x06system\x94\x93\x94\x8c\x02id\x94\x85R.".to_vec(),
            "`posix.system`",
        ),
        (call(b"ctorch.storage\n_load_from_bytes\n"), "`torch.storage._load_from_bytes`"),
        (pickle(b"cmodel.resnet\nResNet34StatsPool\n)\x81}b"), "`model.resnet.ResNet34StatsPool`"),
        (dictionary("args", b"cargparse\nNamespace\n)\x81"), "`argparse.Namespace`"),
        (dictionary("eer", b"cnumpy.core.multiarray\nscalar\n"), "`numpy.core.multiarray.scalar`"),
        (b"(ios\nsystem\n.".to_vec(), "`os.system`"),
    ] {
        for content in [checkpoint(&pickle), legacy(&pickle, &[])] {
            let error = refused(&content);
            assert!(error.contains(&format!("it asks for {name}")), "{error}");
            assert!(error.contains("nothing of it was run"), "{error}");
        }
    }
    // Not only the pickle that names the tensors: any of the archive.
    let more = zip(
        &[("a/data.pkl", &pickle(b"}")), ("a/code/data.pkl", &call(b"cos\nsystem\n"))],
        CompressionMethod::Stored,
    );
    assert!(refused(&more).contains("`os.system`"));
}

#[test]
fn archives_that_unpack_to_much_more_are_refused() {
    let much = vec![b'N'; 16 << 20];
    let bomb = zip(&[("archive/data.pkl", &much)], CompressionMethod::Deflated);
    assert!(refused(&bomb).contains("and unpacks to 16777216"));
    let one = dictionary("a", &tensor(1, b"K\x01\x85", b"K\x01\x85"));
    let entries: [(&str, &[u8]); 2] = [("archive/data.pkl", &one), ("archive/data/0", &much)];
    assert!(refused(&zip(&entries, CompressionMethod::Deflated)).contains("and unpacks to"));
    let long = checkpoint(&much[..(4 << 20) + 100]);
    assert!(refused(&long).contains("more than 4194304 bytes"));
}

#[test]
fn announced_sizes_are_not_believed() {
    for opcode in [b"X".as_slice(), b"B", b"T", b"\x8b"] {
        let content = checkpoint(&pickle(&concat(&[opcode, &u32::MAX.to_le_bytes()])));
        assert!(refused(&content).contains("more are announced"));
    }
    for opcode in [b"\x8d".as_slice(), b"\x8e", b"\x96"] {
        let content = checkpoint(&pickle(&concat(&[opcode, &u64::MAX.to_le_bytes()])));
        assert!(refused(&content).contains("more are announced"));
    }
    // A tensor of 2^60 numbers that are all the same one, and others that reach outside their storage.
    let huge = b"J\0\0\0\x40J\0\0\0\x40\x86";
    for (numel, shape, strides) in [
        (1, huge.as_slice(), b"K\0K\0\x86".as_slice()),
        (1, b"J\0\0\x01\0J\0\x10\0\0\x86", b"K\0K\0\x86"),
        (1, b"J\0\0\0\x40\x85", b"K\x01\x85"),
        (i32::MAX, b"J\xff\xff\xff\x7f\x85", b"K\x01\x85"),
        (-1, b"J\xff\xff\xff\xff\x85", b"K\x01\x85"),
        (1, b"K\x01\x85", b"J\xff\xff\xff\x7f\x85"),
    ] {
        let tensor = tensor(numel, shape, strides);
        refused(&checkpoint(&dictionary("bottleneck.weight", &tensor)));
        refused(&legacy(&dictionary("bottleneck.weight", &tensor), &i64::MAX.to_le_bytes()));
    }
}

#[test]
fn few_bytes_are_not_multiplied() {
    // Lists of two of the list before, thirty times over.
    let doubling: Vec<u8> =
        (0..30u8).flat_map(|n| concat(&[b"](h", &[n], b"h", &[n], b"eq", &[n + 1]])).collect();
    refused_within(&checkpoint(&pickle(&concat(&[b"]q\x00", &doubling]))), COPIES);
    refused(&checkpoint(&pickle(&vec![b']'; 1 << 20])));
    let deep = concat(&[&vec![b']'; 1 << 18], &vec![b'a'; (1 << 18) - 1]]);
    refused(&checkpoint(&pickle(&deep)));
    let recalls = concat(&[b"]q\x00", &b"h\x00".repeat(1 << 18)]);
    refused(&checkpoint(&pickle(&recalls)));
}

/// The whole of a small network's ONNX file.
fn sound_onnx() -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sound.onnx");
    let model = small().init(80, &Device::flex()).unwrap();
    let info = ModelInfo::new(small(), Default::default());
    export_onnx(&path, &info, &model, OnnxInput::Features).unwrap();
    std::fs::write(folder.path().join("again"), std::fs::read(&path).unwrap()).unwrap();
    import_model(folder.path().join("again"), &baseline(), &Device::flex()).unwrap();
    std::fs::read(path).unwrap()
}

#[test]
fn damaged_onnx_files_are_errors() {
    let whole = sound_onnx();
    for part in [3, 30, whole.len() / 2, whole.len() - 1] {
        refused(&whole[..part]);
    }
    assert!(refused(&whole[..whole.len() / 2]).contains("is the file truncated?"));
}

#[test]
fn what_an_onnx_file_says_about_itself_is_not_believed() {
    let described = |network: &str| {
        let entry = |key: &str, value: &str| Named { key: key.to_owned(), value: value.to_owned() };
        let metadata_props = vec![entry("network", network), entry("front_end", "{}")];
        let graph = Some(Graph::default());
        Model { ir_version: 8, graph, metadata_props, ..Model::default() }.encode_to_vec()
    };
    let wide = r#"{"architecture":"ecapa-tdnn","hidden_dim":65536,"compat":true}"#;
    assert!(refused_within(&described(wide), COPIES).contains("it has no constant"));
    let many = r#"{"architecture":"ecapa-tdnn","hidden_dim":65536,"scale":65536,"compat":true}"#;
    assert!(refused(&described(many)).contains("layers"));
    assert!(refused(&described("{}")).contains("its metadata's network"));
}

#[test]
fn the_parts_of_an_onnx_file_cost_little() {
    let model =
        |node| Model { ir_version: 8, graph: Some(Graph { node, ..Graph::default() }), ..Model::default() };
    let empty = model(vec![Node::default(); 1 << 19]).encode_to_vec();
    assert!(refused(&empty).contains("more than 262144 nodes"));
    // Each node reads the one before it twice: as many ways as there are numbers.
    let doubling: Vec<Node> = (0..1000)
        .map(|place| Node {
            input: vec![format!("{place}"); 2],
            output: vec![format!("{}", place + 1)],
            op_type: "Add".to_owned(),
            ..Node::default()
        })
        .collect();
    refused(&model(doubling).encode_to_vec());
    let itself = Node {
        input: vec!["a".to_owned(), "a".to_owned()],
        output: vec!["a".to_owned()],
        op_type: "Identity".to_owned(),
        ..Node::default()
    };
    refused(&model(vec![itself]).encode_to_vec());
}
