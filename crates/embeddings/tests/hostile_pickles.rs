//! Pickles that were made to do harm: each is an error in little memory and time.

#[path = "../../kaldi-io/tests/memory/mod.rs"]
mod memory;

use ffsvc_embeddings::Embeddings;
use proptest::prelude::*;

/// Reads the `.npy` file that `numpy.save` would make of this pickle.
fn read(pickle: &[u8]) -> Result<Embeddings, String> {
    let header = b"{'descr': '|O', 'fortran_order': False, 'shape': (), }\n";
    let file = [b"\x93NUMPY\x01\x00", &(header.len() as u16).to_le_bytes()[..], header, pickle].concat();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("dict.npy");
    std::fs::write(&path, file).unwrap();
    Embeddings::read(&path).map_err(|e| e.to_string())
}

/// The error of a pickle that must not be read, within memory for a few objects for each of its bytes.
fn refused(pickle: &[u8]) -> String {
    let (result, peak) = memory::peak(|| read(pickle));
    assert!(peak < (1 << 17) + 256 * pickle.len(), "{peak} bytes of memory for a pickle of {}", pickle.len());
    result.unwrap_err()
}

fn bytes(parts: &[&[u8]]) -> Vec<u8> {
    parts.concat()
}

/// SHORT_BINUNICODE.
fn text(text: &str) -> Vec<u8> {
    bytes(&[&[0x8c, text.len() as u8], text.as_bytes()])
}

/// GLOBAL.
fn global(module: &str, name: &str) -> Vec<u8> {
    format!("c{module}\n{name}\n").into_bytes()
}

/// `dtype(name)` on the stack.
fn dtype(name: &str) -> Vec<u8> {
    bytes(&[&global("numpy", "dtype"), &text(name), b"\x89\x88\x87R"])
}

/// An array of this dtype on the stack; `shape` and `data` are opcodes that push one item each.
fn array(dtype_name: &str, shape: &[u8], data: &[u8]) -> Vec<u8> {
    let empty = bytes(&[
        &global("numpy.core.multiarray", "_reconstruct"),
        &global("numpy", "ndarray"),
        b"K\x00\x85C\x01b\x87R",
    ]);
    bytes(&[&empty, b"(K\x01", shape, &dtype(dtype_name), b"\x89", data, b"tb"])
}

/// A pickle of protocol 4.
fn pickle(body: &[u8]) -> Vec<u8> {
    bytes(&[b"\x80\x04", body, b"."])
}

/// A pickled dict of the utterance `a` and the value that these opcodes push.
fn dict_of(value: &[u8]) -> Vec<u8> {
    pickle(&bytes(&[b"}", &text("a"), value, b"s"]))
}

#[test]
fn the_builders_of_these_tests_make_pickles_that_can_be_read() {
    let vector = array("f4", b"K\x01\x85", b"C\x04\x00\x00\x80?");
    let wrapped = array("O", b")", &bytes(&[b"]}", &text("a"), &vector, b"sa"]));
    for pickle in
        [dict_of(&vector), pickle(&wrapped), dict_of(b"]G?\xf0\0\0\0\0\0\0a"), dict_of(b"K\x01\x85")]
    {
        assert_eq!(read(&pickle).unwrap().get("a"), Some([1.0].as_slice()));
    }
}

#[test]
fn functions_and_classes_are_refused_by_name() {
    let call = |global: &[u8], argument: &str| pickle(&bytes(&[global, &text(argument), b"\x85R"]));
    let stack_global = |module: &str, name: &str| bytes(&[&text(module), &text(name), b"\x93"]);
    for (pickle, name) in [
        (call(&global("os", "system"), "rm -rf /"), "`os.system`"),
        (call(&stack_global("posix", "system"), "id"), "`posix.system`"),
        (call(&stack_global("builtins", "eval"), "1"), "`builtins.eval`"),
        (
            call(&global("numpy.core.multiarray", "fromfile"), "/etc/passwd"),
            "`numpy.core.multiarray.fromfile`",
        ),
        (call(&stack_global("numpy", "load"), "x"), "`numpy.load`"),
        (dict_of(&global("collections", "OrderedDict")), "`collections.OrderedDict`"),
        (dict_of(&global("torch._utils", "_rebuild_tensor_v2")), "`torch._utils._rebuild_tensor_v2`"),
        (pickle(b"(ios\nsystem\n"), "`os.system`"),
        (pickle(&global("a\x1b[31m", &"x".repeat(200))), "`a\\u{1b}[31m."),
    ] {
        let error = refused(&pickle);
        assert!(error.contains(&format!("it asks for {name}")), "{error}");
        assert!(error.contains("no code is run") && error.len() < 400, "{error}");
    }
}

#[test]
fn opcodes_that_reach_outside_the_file_are_refused() {
    for (body, reason) in [
        (b"Pfile\n".as_slice(), "outside the file"),
        (b"\x8c\x01xQ", "outside the file"),
        (b"\x97", "outside the file"),
        (b"\x82\x01", "extension registry"),
        (b"}}\x81", "instance of a class"),
        (b"}}}\x92", "instance of a class"),
        (b"(o", "instance of a class"),
        (b"\x8f", "a set"),
        (b"I01\n", "protocol 0"),
        (b"\xfe", "is no opcode"),
    ] {
        let error = refused(&pickle(body));
        assert!(error.contains(reason), "{error}");
    }
}

#[test]
fn the_stack_and_the_memo_cannot_be_misused() {
    for (body, reason) in [
        (b"".as_slice(), "the stack is empty"),
        (b"h\x05", "memo entry 5 is asked for, but was never made"),
        (b"j\xff\xff\xff\xff", "memo entry 4294967295"),
        (b"q\x00", "the stack is empty"),
        (b"\x94", "the stack is empty"),
        (b"t", "there is no mark"),
        (b"N(\x85", "the stack is empty"),
        (b"N(0000", "the stack is empty"),
        (b"N\x86", "the stack is empty"),
        (b"NNs", "the stack is empty"),
        (b"}(NNNu", "a key without a value"),
        (b"]NNs", "keys are set in what is not a dict"),
        (b"}Na", "items are added to what is not a list"),
        (b"NNR", "not a function"),
        (b"NNb", "a state that is not a tuple"),
        (b"N)b", "a state for what has none"),
        (b"NN\x93", "a function's name that is not a str"),
    ] {
        let error = refused(&pickle(body));
        assert!(error.contains(reason), "{}: {error}", body.escape_ascii());
    }
    let no_stop = bytes(&[b"\x80\x04", b"}"]);
    assert!(refused(&no_stop).contains("are announced"));
    assert!(refused(b"").contains("are announced"));
    assert!(refused(b"\x80\x06.").contains("protocol 6"));
    assert!(refused(b"(dp0\n.").contains("no pickle of protocol 2 to 5"));
}

#[test]
fn announced_lengths_are_not_believed() {
    let long = (1_u64 << 60).to_le_bytes();
    for body in [
        bytes(&[b"\x8d", &long]),
        bytes(&[b"\x8e", &long]),
        bytes(&[b"\x96", &u64::MAX.to_le_bytes()]),
        bytes(&[b"X", &u32::MAX.to_le_bytes()]),
        bytes(&[b"T", &i32::MIN.to_le_bytes()]),
        bytes(&[b"\x8b", &i32::MAX.to_le_bytes()]),
        bytes(&[b"\x8b", &(-1_i32).to_le_bytes()]),
    ] {
        let error = refused(&pickle(&body));
        assert!(error.contains("more are announced"), "{error}");
    }
    let error = refused(&pickle(&bytes(&[b"\x8b", &(1_i32 << 20).to_le_bytes(), &vec![1; 1 << 20]])));
    assert!(error.contains("an integer of 1048576 bytes"), "{error}");
    // Frames are only a hint to buffers.
    assert!(
        refused(&pickle(&bytes(&[b"\x95", &u64::MAX.to_le_bytes(), b"N"])))
            .contains("found None in the pickle")
    );
}

#[test]
fn deep_and_circular_structures_need_no_recursion() {
    const DEPTH: usize = 1 << 20;
    let lists = bytes(&[&vec![b']'; DEPTH], &vec![b'a'; DEPTH - 1]]);
    assert!(refused(&pickle(&lists)).contains("found a list of 1"));
    let tuples = bytes(&[b")", &vec![0x85; DEPTH]]);
    assert!(refused(&dict_of(&tuples)).contains("utterance `a`: found a tuple of 1 in its vector"));
    assert!(refused(&pickle(&vec![b'('; DEPTH])).contains("the stack is empty"));

    let own_value = bytes(&[b"}\x94", &text("a"), b"h\x00s"]);
    assert!(refused(&pickle(&own_value)).contains("utterance `a`: found a dict of 1"));
    assert!(refused(&pickle(b"]\x94h\x00a")).contains("found a list of 1"));
    assert!(refused(&dict_of(b"]\x94h\x00a")).contains("utterance `a`: found a list of 1 in its vector"));
    let own_key = b"}\x94h\x00Ns";
    assert!(refused(&pickle(own_key)).contains("found a dict of 1 as a key"));
    // A list that grows after the array was made of it.
    let grown = bytes(&[b"]\x94", &array("O", b"K\x01\x85", b"h\x00N\x86\x950\0\0\0\0\0\0\0")]);
    refused(&pickle(&grown));
    let grown = bytes(&[b"]\x94}a", &array("O", b"K\x01\x85", b"h\x00"), b"\x94h\x00Na0"]);
    assert!(refused(&pickle(&grown)).contains("found a numpy dtype or function"));
}

#[test]
fn a_memo_of_any_numbers_takes_memory_for_its_entries_only() {
    let puts: Vec<u8> =
        (0..5000_u32).flat_map(|i| bytes(&[b"r", &(u32::MAX - i * 800_000).to_le_bytes()])).collect();
    assert!(refused(&pickle(&bytes(&[b"N", &puts]))).contains("found None"));
}

#[test]
fn arrays_must_agree_with_their_bytes() {
    let long = |n: i64| bytes(&[b"\x8a\x08", &n.to_le_bytes()]);
    let shape2 = |a: i64, b: i64| bytes(&[&long(a), &long(b), b"\x86"]);
    for (value, reason) in [
        (array("f4", &shape2(1 << 62, 1 << 62), b"C\x04\0\0\0\0"), "4 bytes for an array of shape"),
        (array("f4", &shape2(1 << 62, 4), b"C\x00"), "0 bytes for an array of shape"),
        (array("f4", &shape2(-1, 4), b"C\x00"), "-1 in the shape"),
        (array("f4", b"K\x02\x85", b"C\x04\0\0\0\0"), "4 bytes for an array of shape [2]"),
        (array("f4", b"N\x85", b"C\x00"), "not of integers"),
        (array("f4", b"N", b"C\x00"), "a shape that is not a tuple"),
        (array("f4", b"K\x01\x85", b"]"), "without its elements"),
        (array("O", b"K\x01\x85", b"C\x04\0\0\0\0"), "4 bytes for an array"),
        (array("i8", b"K\x01\x85", b"C\x00"), "type `i8`"),
        (array("U99999999999999999999", b"K\x01\x85", b"C\x00"), "type `U9999"),
        (array("U16777216", b"K\x01\x85", b"C\x00"), "0 bytes for an array"),
        (
            array("f4", b"K\x02K\x02\x86", b"C\x10\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"),
            "a numpy array of shape [2, 2]",
        ),
        (array("f4", b"K\x00\x85", b"C\x00"), "utterance `a` has an empty vector"),
        (array("f4", b"K\x01\x85", b"C\x04\0\0\x80\x7f"), "utterance `a` has inf in dimension 0"),
        (
            bytes(&[&global("numpy.core.multiarray", "scalar"), &dtype("U4"), b"C\x00\x86R"]),
            "0 bytes for a numpy scalar",
        ),
        (bytes(&[&global("numpy", "ndarray"), b"K\x01\x85R"]), "NdArray is called with 1 arguments"),
        (bytes(&[&global("_codecs", "encode"), &text("aa"), &text("rot13"), b"\x86R"]), "other than latin1"),
        (
            bytes(&[&global("_codecs", "encode"), &text("€"), &text("latin1"), b"\x86R"]),
            "bytes that are not bytes",
        ),
    ] {
        let error = refused(&dict_of(&value));
        assert!(error.contains(reason), "{reason}: {error}");
    }
}

#[test]
fn a_few_bytes_cannot_be_multiplied() {
    // One long text, encoded again and again.
    let encode = bytes(&[&global("_codecs", "encode"), b"\x94"]);
    let long =
        bytes(&[b"X", &100_000_u32.to_le_bytes(), &vec![b'a'; 100_000], b"\x94", &text("latin1"), b"\x94"]);
    let copies = b"h\x00h\x01h\x02\x86R0".repeat(10_000);
    let error = refused(&pickle(&bytes(&[&encode, &long, &copies])));
    assert!(error.contains("more text out of its strings"), "{error}");

    // One long vector for many utterances.
    let vector = array("f4", b"M\xa0\x0f\x85", &bytes(&[b"B", &16_000_u32.to_le_bytes(), &vec![0; 16_000]]));
    let utterances: Vec<u8> = (0..1000).flat_map(|i| bytes(&[&text(&format!("u{i}")), b"h\x00s"])).collect();
    let error = refused(&pickle(&bytes(&[&vector, b"\x940}", &utterances])));
    assert!(error.contains("the same vector belongs to so many utterances"), "{error}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    /// Opcodes in any order, with the pieces that real pickles are made of among them.
    #[test]
    fn any_program_ends_without_a_panic(pieces in prop::collection::vec(0..24_usize, 0..60)) {
        let parts: [Vec<u8>; 24] = [
            b"(".to_vec(), b"}".to_vec(), b"]".to_vec(), b")".to_vec(), b"N".to_vec(), b"K\x01".to_vec(),
            b"\x85".to_vec(), b"\x86".to_vec(), b"\x87".to_vec(), b"t".to_vec(), b"a".to_vec(), b"e".to_vec(),
            b"s".to_vec(), b"u".to_vec(), b"\x94".to_vec(), b"h\x00".to_vec(), b"h\x01".to_vec(), b"R".to_vec(),
            b"b".to_vec(), b"0".to_vec(), text("a"), dtype("f4"), dtype("O"),
            array("f4", b"K\x01\x85", b"C\x04\0\0\x80?"),
        ];
        let body: Vec<u8> = pieces.iter().flat_map(|&piece| parts[piece].clone()).collect();
        let (result, peak) = memory::peak(|| read(&pickle(&body)));
        prop_assert!(peak < 1 << 18);
        if let Ok(store) = result {
            prop_assert!(store.len() <= 1);
        }
    }
}
