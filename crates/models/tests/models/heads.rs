//! Heads against PyTorch, and where PyTorch's gradients are not usable.

use burn::optim::GradientsParams;
use burn::tensor::{Device, Int, Tensor, TensorData};
use ffsvc_models::heads::{
    AamSoftmaxConfig, AmSoftmaxConfig, HamSoftmaxConfig, MarginKind, SoftmaxConfig, SphereFace2Config,
    SphereFaceConfig, SubCentreAamConfig,
};
use ffsvc_models::{HeadConfig, NamedTensor, load_named, named_gradients};

use crate::goldens::{Goldens, max_difference, values_of};

fn aam(margin: f64, scale: f64, easy_margin: bool) -> HeadConfig {
    HeadConfig::AamSoftmax(AamSoftmaxConfig { margin, scale, easy_margin })
}

fn sub_centre_aam(
    margin: f64,
    scale: f64,
    sub_centres: usize,
    top_k: usize,
    top_k_penalty: f64,
) -> HeadConfig {
    HeadConfig::SubCentreAam(SubCentreAamConfig {
        margin,
        scale,
        easy_margin: false,
        sub_centres,
        top_k,
        top_k_penalty,
    })
}

fn sphere_face(multiple: usize, lambda: f64) -> HeadConfig {
    HeadConfig::SphereFace(SphereFaceConfig { multiple, lambda, lambda_decay: 0.0, least_lambda: 0.0 })
}

fn largest(values: &[f64]) -> f64 {
    values.iter().fold(0.0, |largest, v| v.abs().max(largest))
}

#[test]
fn logits_losses_and_gradients_equal_the_baselines() {
    let device = Device::default().autodiff();
    let golden = Goldens::committed("heads");
    let cases = [
        ("aam", aam(0.2, 32.0, false)),
        ("aam_easy", aam(0.2, 32.0, true)),
        ("aam_default", aam(0.5, 30.0, false)),
        ("am", HeadConfig::AmSoftmax(AmSoftmaxConfig { margin: 0.2, scale: 32.0 })),
    ];
    for (name, config) in cases {
        let expected = |what: &str| golden.values(&format!("{name}_f64.{what}"));
        let head = config.init(64, 10, &device);
        let mut weight = golden.named("w").remove(0);
        weight.name = "weight".into();
        let head = load_named(head, vec![weight]).unwrap();
        let embeddings = golden.tensor::<2>("x", &device).require_grad();
        let output = head.forward(embeddings.clone(), golden.labels("y", &device));

        let error = max_difference(&values_of(output.logits), expected("logits"));
        assert!(error < 2e-5, "{name} logits: {error:e}");
        let error = max_difference(&values_of(output.loss.clone()), expected("loss"));
        assert!(error < 2e-6, "{name} loss: {error:e}");

        let gradients = output.loss.backward();
        let of_weight = values_of(head.weight().unwrap().grad(&gradients).unwrap());
        let error = max_difference(&of_weight, expected("grad_w"));
        assert!(error < 1e-5 * largest(expected("grad_w")), "{name} grad_w: {error:e}");

        // Row 3 is the zero vector: PyTorch's gradient there is 6.9e11, ours is 0.
        let of_embeddings = values_of(embeddings.grad(&gradients).unwrap());
        let without_row_3 = |values: &[f64]| [&values[..3 * 64], &values[4 * 64..]].concat();
        let (found, expected) = (without_row_3(&of_embeddings), without_row_3(expected("grad_x")));
        let error = max_difference(&found, &expected);
        assert!(error < 1e-5 * largest(&expected), "{name} grad_x: {error:e}");
        assert_eq!(of_embeddings[3 * 64..4 * 64], [0.0; 64], "{name}");
    }
}

/// The heads of other papers, with the angle itself, in double precision: tests/peers/torch_heads.py.
#[test]
fn sub_centres_rivals_and_multiples_equal_pytorchs() {
    let device = Device::default().autodiff();
    let golden = Goldens::committed("margin_heads");
    const SIZE: usize = 16;
    let first_of_three = |values: &[f64]| -> Vec<f64> {
        values.chunks_exact(3 * SIZE).flat_map(|centres| &centres[..SIZE]).copied().collect()
    };
    let cases = [
        ("sub_centre", sub_centre_aam(0.2, 32.0, 3, 0, 0.0)),
        ("inter_top_k", sub_centre_aam(0.2, 32.0, 1, 3, 0.06)),
        ("both", sub_centre_aam(0.3, 30.0, 3, 5, 0.1)),
        ("all_rivals", sub_centre_aam(0.2, 32.0, 3, 100, 0.06)),
        ("sphere_1", sphere_face(1, 5.0)),
        ("sphere_2", sphere_face(2, 5.0)),
        ("sphere_3", sphere_face(3, 5.0)),
        ("sphere_4", sphere_face(4, 5.0)),
        ("sphere_5", sphere_face(5, 5.0)),
        ("sphere_4_alone", sphere_face(4, 0.0)),
    ];
    for (name, config) in cases {
        let thin = |values: &[f64]| match config.rows_per_class() {
            1 => first_of_three(values),
            _ => values.to_vec(),
        };
        let expected = |what: &str| golden.values(&format!("{name}.{what}"));
        let weight = thin(golden.values("w"));
        let weight = NamedTensor {
            name: "weight".into(),
            shape: vec![weight.len() / SIZE, SIZE],
            data: weight.iter().map(|v| *v as f32).collect(),
        };
        let head = load_named(config.init(SIZE, 9, &device), vec![weight]).unwrap();
        assert_eq!(head.num_classes(), 9);
        let embeddings = golden.tensor::<2>("x", &device).require_grad();
        let output = head.forward(embeddings.clone(), golden.labels("y", &device));

        let error = max_difference(&values_of(output.logits), expected("logits"));
        assert!(error < 2e-5, "{name} logits: {error:e}");
        let error = max_difference(&values_of(output.loss.clone()), expected("loss"));
        assert!(error < 1e-5, "{name} loss: {error:e}");
        let gradients = output.loss.backward();
        let of_weight = values_of(head.weight().unwrap().grad(&gradients).unwrap());
        let error = max_difference(&of_weight, &thin(expected("grad_w")));
        assert!(error < 2e-5 * largest(expected("grad_w")), "{name} grad_w: {error:e}");
        let of_embeddings = values_of(embeddings.grad(&gradients).unwrap());
        let error = max_difference(&of_embeddings, expected("grad_x"));
        assert!(error < 2e-5 * largest(expected("grad_x")), "{name} grad_x: {error:e}");
    }
}

/// WeSpeaker's own class, in double precision: tests/peers/sphere_face2.py.
#[test]
fn binary_classifiers_equal_wespeakers() {
    let device = Device::default().autodiff();
    let (inputs, golden) = (Goldens::committed("margin_heads"), Goldens::committed("sphere_face2"));
    const SIZE: usize = 16;
    let weight: Vec<f32> =
        inputs.values("w").chunks_exact(3 * SIZE).flat_map(|rows| &rows[..SIZE]).map(|v| *v as f32).collect();
    let default = SphereFace2Config::default;
    let cases = [
        ("cosine", default()),
        ("cosine_1", SphereFace2Config { margin: 0.3, exponent: 1, target_weight: 0.6, ..default() }),
        ("angle", SphereFace2Config { margin: 0.15, margin_kind: MarginKind::Angle, ..default() }),
    ];
    for (name, config) in cases {
        let expected = |what: &str| golden.values(&format!("{name}.{what}"));
        let tensors = vec![
            NamedTensor { name: "weight".into(), shape: vec![9, SIZE], data: weight.clone() },
            NamedTensor { name: "bias".into(), shape: vec![1, 1], data: vec![-0.3] },
        ];
        let head = load_named(HeadConfig::SphereFace2(config).init(SIZE, 9, &device), tensors).unwrap();
        let embeddings = inputs.tensor::<2>("x", &device).require_grad();
        let output = head.forward(embeddings.clone(), inputs.labels("y", &device));
        let error = max_difference(&values_of(output.logits), expected("logits"));
        assert!(error < 2e-5, "{name} logits: {error:e}");
        let error = max_difference(&values_of(output.loss.clone()), expected("loss"));
        assert!(error < 1e-5 * largest(expected("loss")), "{name} loss: {error:e}");
        let gradients = output.loss.backward();
        let of_embeddings = values_of(embeddings.grad(&gradients).unwrap());
        let of_head = named_gradients(&head, &GradientsParams::from_grads(gradients, &head));
        let of = |name: &str| -> Vec<f64> {
            let tensor = of_head.iter().find(|tensor| tensor.name == name).unwrap();
            tensor.data.iter().map(|v| f64::from(*v)).collect()
        };
        for (what, found) in [("grad_w", of("weight")), ("grad_b", of("bias")), ("grad_x", of_embeddings)] {
            let error = max_difference(&found, expected(what));
            assert!(error < 2e-5 * largest(expected(what)), "{name} {what}: {error:e}");
        }
    }
    for (field, config) in [
        ("head.target_weight", SphereFace2Config { target_weight: 1.0, ..default() }),
        ("head.exponent", SphereFace2Config { exponent: 0, ..default() }),
        ("head.margin", SphereFace2Config { margin: f64::NAN, ..default() }),
    ] {
        let error = HeadConfig::SphereFace2(config).validate().unwrap_err().to_string();
        assert!(error.contains(field), "{error}");
    }
}

/// WeSpeaker's own class, in double precision: tests/peers/ham_softmax.py.
#[test]
fn hyperbolic_distances_equal_wespeakers() {
    let device = Device::default().autodiff();
    let (inputs, golden) = (Goldens::committed("margin_heads"), Goldens::committed("ham_softmax"));
    let cases = [
        ("curved", HamSoftmaxConfig::default()),
        ("unit", HamSoftmaxConfig { margin: 0.3, scale: 20.0, curvature: 1.0 }),
    ];
    for (name, config) in cases {
        let expected = |what: &str| golden.values(&format!("{name}.{what}"));
        let data = golden.values("w").iter().map(|v| *v as f32).collect();
        let weight = NamedTensor { name: "weight".into(), shape: vec![9, 16], data };
        let head = load_named(HeadConfig::HamSoftmax(config).init(16, 9, &device), vec![weight]).unwrap();
        let embeddings = golden.tensor::<2>("x", &device).require_grad();
        let output = head.forward(embeddings.clone(), inputs.labels("y", &device));
        let near = |found: Vec<f64>, what: &str| {
            let error = max_difference(&found, expected(what)) / largest(expected(what));
            println!("{name} {what}: {error:e}");
            assert!(error < 5e-6, "{name} {what}: {error:e}");
        };
        near(values_of(output.logits), "logits");
        near(values_of(output.loss.clone()), "loss");
        let gradients = output.loss.backward();
        near(values_of(head.weight().unwrap().grad(&gradients).unwrap()), "grad_w");
        near(values_of(embeddings.grad(&gradients).unwrap()), "grad_x");
    }
    for (field, config) in [
        ("head.curvature", HamSoftmaxConfig { curvature: 0.5, ..HamSoftmaxConfig::default() }),
        ("head.margin", HamSoftmaxConfig { margin: 2.0, ..HamSoftmaxConfig::default() }),
    ] {
        let error = HeadConfig::HamSoftmax(config).validate().unwrap_err().to_string();
        assert!(error.contains(field), "{error}");
    }
}

/// The bias that all classes share stays what it was.
#[test]
fn what_all_classes_share_is_kept_for_other_speakers() {
    let device = Device::default();
    let config = HeadConfig::SphereFace2(SphereFace2Config::default());
    let mut tensors = ffsvc_models::named_tensors(&config.init(4, 3, &device));
    tensors[1].data = vec![-5.0];
    let old = load_named(config.init(4, 3, &device), tensors).unwrap();
    let names = |text: &str| -> Vec<String> { text.split(',').map(str::to_owned).collect() };
    let fresh = config.init(4, 2, &device);
    let (new, transferred) = old.transfer(&names("a,b,c"), &names("c,d"), fresh).unwrap();
    assert_eq!((transferred.kept, ffsvc_models::named_tensors(&new)[1].data.clone()), (1, vec![-5.0]));
}

#[test]
fn the_weight_of_the_plain_cosine_falls_as_in_the_authors_program() {
    let device = Device::default();
    let golden = Goldens::committed("margin_heads");
    let loss = |head: &ffsvc_models::Head, step: usize| {
        let mut head = head.clone();
        head.anneal(step);
        values_of(head.forward(golden.tensor("x", &device), golden.labels("y", &device)).loss)[0]
    };
    let annealed: HeadConfig = toml::from_str("kind = 'sphere-face'").unwrap();
    let annealed = annealed.init(16, 9, &device);
    // The same weights, not drawn again: tests run side by side and share the device's generator.
    let weights = ffsvc_models::named_tensors(&annealed);
    let fixed = |lambda| {
        ffsvc_models::load_named(sphere_face(4, lambda).init(16, 9, &device), weights.clone()).unwrap()
    };
    for (step, lambda) in [(0, 1000.0), (10, 1000.0 / 2.2), (1000, 1000.0 / 121.0), (100_000, 5.0)] {
        let error = loss(&annealed, step) - loss(&fixed(lambda), 0);
        assert!(error.abs() < 1e-6, "step {step}: {error:e}");
    }
    // Heads without such a weight do not change.
    let plain = HeadConfig::default().init(16, 9, &device);
    assert_eq!(loss(&plain, 0), loss(&plain, 500));
}

/// As WeSpeaker's `update`: the penalty is in proportion to the margin in force.
#[test]
fn the_penalty_on_rivals_follows_the_margin() {
    let device = Device::default();
    let golden = Goldens::committed("margin_heads");
    // Drawn once: tests run side by side and share the device's generator.
    let weights = ffsvc_models::named_tensors(&sub_centre_aam(0.2, 32.0, 3, 0, 0.0).init(16, 9, &device));
    let loss = |config: HeadConfig, margin: f64| {
        let head = ffsvc_models::load_named(config.init(16, 9, &device), weights.clone()).unwrap();
        let head = head.with_margin(margin);
        values_of(head.forward(golden.tensor("x", &device), golden.labels("y", &device)).loss)[0]
    };
    let half = loss(sub_centre_aam(0.2, 32.0, 3, 4, 0.06), 0.1);
    assert!((half - loss(sub_centre_aam(0.1, 32.0, 3, 4, 0.03), 0.1)).abs() < 1e-6);
    let none = loss(sub_centre_aam(0.2, 32.0, 3, 4, 0.06), 0.0);
    assert!((none - loss(sub_centre_aam(0.2, 32.0, 3, 0, 0.0), 0.0)).abs() < 1e-6);
    assert!(half > none);
}

#[test]
fn known_speakers_keep_their_rows_in_another_head() {
    let device = Device::default();
    let names = |text: &str| -> Vec<String> { text.split(',').map(str::to_owned).collect() };
    let from = names("a,b,c,d,reserved 1,reserved 2");
    let to = names("e,d,a,f,g,reserved 1");
    for config in
        [HeadConfig::default(), HeadConfig::Softmax(SoftmaxConfig {}), sub_centre_aam(0.2, 32.0, 3, 0, 0.0)]
    {
        let old = config.init(5, from.len(), &device);
        let fresh = config.init(5, to.len(), &device);
        let expected_ids = ffsvc_models::parameter_ids(&fresh);
        let (new, transferred) = old.transfer(&from, &to, fresh.clone()).unwrap();
        assert_eq!((transferred.kept, transferred.from_reserve), (2, 2));
        assert_eq!((transferred.fresh, transferred.dropped), (names("g,reserved 1"), names("b,c")));
        assert_eq!(ffsvc_models::parameter_ids(&new), expected_ids);
        let tensors = |head: &ffsvc_models::Head| ffsvc_models::named_tensors(head);
        for ((old, fresh), new) in tensors(&old).iter().zip(&tensors(&fresh)).zip(&tensors(&new)) {
            let row = |tensor: &NamedTensor, class: usize| {
                let size = tensor.data.len() / 6;
                tensor.data[class * size..(class + 1) * size].to_vec()
            };
            let sources = [(old, 4), (old, 3), (old, 0), (old, 5), (fresh, 4), (fresh, 5)];
            for (class, (source, place)) in sources.into_iter().enumerate() {
                assert_eq!(row(new, class), row(source, place), "{config:?} {} {class}", new.name);
            }
        }
        // Another kind of head, or embeddings of another size, cannot keep rows.
        let other = sub_centre_aam(0.2, 32.0, 2, 0, 0.0).init(5, 6, &device);
        assert!(old.transfer(&from, &to, other).unwrap_err().to_string().contains("a new head"));
        assert!(old.transfer(&from, &to, config.init(4, 6, &device)).is_err());
    }
}

/// At cosine 1 PyTorch's gradient of the square root is not a number.
#[test]
fn gradients_are_finite_on_the_centre_and_opposite_it() {
    let device = Device::default().autodiff();
    let configs = [
        HeadConfig::default(),
        aam(0.5, 64.0, true),
        sub_centre_aam(0.2, 32.0, 1, 1, 0.06),
        sphere_face(4, 0.0),
        HeadConfig::HamSoftmax(HamSoftmaxConfig { curvature: 1.0, ..HamSoftmaxConfig::default() }),
    ];
    for config in configs {
        let centres = vec![1.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0];
        let centres = NamedTensor { name: "weight".into(), shape: vec![3, 4], data: centres };
        let head = load_named(config.init(4, 3, &device), vec![centres]).unwrap();
        let rows = [[2.0, 0.0, 0.0, 0.0], [-3.0, 0.0, 0.0, 0.0], [1e-20, 0.0, 0.0, 0.0]];
        let embeddings = Tensor::<2>::from_floats(rows, &device).require_grad();
        let labels = Tensor::<1, Int>::from_ints([0, 0, 0], &device);
        let output = head.forward(embeddings.clone(), labels);
        let best = values_of(output.cosines_or_scores.clone())[0];
        assert!(
            best == 1.0 || matches!(config, HeadConfig::HamSoftmax(_)) && best > -0.01,
            "{config:?}: {best}"
        );
        let gradients = output.loss.backward();
        for values in [
            values_of(output.loss.clone()),
            values_of(embeddings.grad(&gradients).unwrap()),
            values_of(head.weight().unwrap().grad(&gradients).unwrap()),
        ] {
            assert!(values.iter().all(|v| v.is_finite()), "{config:?}: {values:?}");
        }
    }
}

/// The linear head against the closed form: the gradient of the scores is `(softmax - one_hot) / batch`.
#[test]
fn linear_head_is_softmax_regression() {
    let device = Device::default().autodiff();
    let head = HeadConfig::Softmax(SoftmaxConfig {}).init(2, 3, &device);
    let weight = vec![0.5, -1.0, 2.0, 0.25, -0.5, 1.5];
    let bias = vec![0.1, -0.2, 0.3];
    let head = load_named(
        head,
        vec![
            NamedTensor { name: "weight".into(), shape: vec![3, 2], data: weight },
            NamedTensor { name: "bias".into(), shape: vec![3], data: bias },
        ],
    )
    .unwrap();
    let embeddings = Tensor::<2>::from_floats([[1.0, 2.0]], &device).require_grad();
    let output = head.forward(embeddings.clone(), Tensor::from_ints([1], &device));

    let scores: [f64; 3] = [0.5 - 2.0 + 0.1, 2.0 + 0.5 - 0.2, -0.5 + 3.0 + 0.3];
    let total: f64 = scores.iter().map(|s| s.exp()).sum();
    let p = scores.map(|s| s.exp() / total);
    assert!(max_difference(&values_of(output.loss.clone()), &[-p[1].ln()]) < 1e-6);
    assert!(max_difference(&values_of(output.cosines_or_scores), &scores) < 1e-6);
    let gradients = output.loss.backward();
    let of_embedding =
        [p[0] * 0.5 + (p[1] - 1.0) * 2.0 - p[2] * 0.5, -p[0] + (p[1] - 1.0) * 0.25 + p[2] * 1.5];
    let found = values_of(embeddings.grad(&gradients).unwrap());
    assert!(max_difference(&found, &of_embedding) < 1e-6);
}

#[test]
fn margin_can_be_scheduled() {
    let device = Device::default();
    let golden = Goldens::committed("heads");
    let loss = |margin: f64| {
        let mut weight = golden.named("w").remove(0);
        weight.name = "weight".into();
        let head = load_named(HeadConfig::default().init(64, 10, &device), vec![weight]).unwrap();
        let head = head.with_margin(margin);
        assert_eq!(head.margin(), Some(margin));
        let output = head.forward(golden.tensor("x", &device), golden.labels("y", &device));
        let without_margin = values_of(output.cosines_or_scores * 32.0);
        (values_of(output.loss)[0], max_difference(&values_of(output.logits), &without_margin))
    };
    let (zero, largest_change) = loss(0.0);
    assert!(largest_change < 1e-5, "{largest_change}");
    let (small, _) = loss(0.1);
    let (configured, _) = loss(0.2);
    assert!(zero < small && small < configured);
    assert!((configured - golden.values("aam_f64.loss")[0]).abs() < 2e-6);
}

#[test]
fn labels_pick_their_row() {
    let device = Device::default();
    let data = TensorData::new(vec![1.0f32, 0.0, 0.0, 1.0], [2, 2]);
    let weight = NamedTensor { name: "weight".into(), shape: vec![2, 2], data: vec![1.0, 0.0, 0.0, 1.0] };
    let config = HeadConfig::AmSoftmax(AmSoftmaxConfig { margin: 0.5, scale: 10.0 });
    let head = load_named(config.init(2, 2, &device), vec![weight]).unwrap();
    let output = head.forward(Tensor::from_data(data, &device), Tensor::from_ints([1, 1], &device));
    let expected = [10.0, -5.0, 0.0, 5.0];
    assert!(max_difference(&values_of(output.logits), &expected) < 1e-6);
}
