//! Every picture in both formats: well-formed, with its labels, the same each time.

use ffsvc_plots::{
    Bar, CalibrationPlot, CalibrationSystem, ConditionBars, ConditionSystem, DetPlot, DetSystem, Error,
    HistogramPlot, Picture, PriorPlot, PriorSystem, StepCurve, StepsPlot, SweepCurve, SweepPanel, SweepPlot,
    write,
};
use ffsvc_scoring::Pav;
use ffsvc_scoring::metrics::{DcfParameters, DetCurve};

/// Quantiles of a triangular distribution around a centre.
fn scores(n: usize, centre: f64, width: f64) -> Vec<f64> {
    let quantile = |p: f64| if p < 0.5 { (2.0 * p).sqrt() - 1.0 } else { 1.0 - (2.0 - 2.0 * p).sqrt() };
    (0..n).map(|i| centre + width * quantile((i as f64 + 0.5) / n as f64)).collect()
}

/// The text of the SVG, which is checked to be the same each time; the PNG beside it, to have its size and to be drawn on.
fn drawn(picture: &impl Picture) -> String {
    let dir = tempfile::tempdir().unwrap();
    let read = |name: &str| {
        let path = dir.path().join(name);
        write(picture, &path).unwrap();
        std::fs::read(path).unwrap()
    };
    let (svg, png) = (read("a.svg"), read("a.PNG"));
    assert_eq!(svg, read("b.svg"));
    let decoder = png::Decoder::new(std::io::Cursor::new(&png));
    let mut reader = decoder.read_info().unwrap();
    let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
    let info = reader.next_frame(&mut pixels).unwrap();
    let (width, height) = picture.size();
    assert_eq!((info.width, info.height), (width * 5 / 2, (f64::from(height) * 2.5).round() as u32));
    let dark = pixels.chunks_exact(3).filter(|rgb| rgb.iter().all(|&c| c < 100)).count();
    assert!(dark > 2000, "{dark} dark pixels are no text, axes and lines");
    let svg = String::from_utf8(svg).unwrap();
    assert!(svg.starts_with("<svg ") && svg.trim_end().ends_with("</svg>"));
    svg
}

/// Whether text stands somewhere, as the SVG back end writes it, on a line of its own.
fn says(svg: &str, text: &str) -> bool {
    svg.lines().any(|line| line == text)
}

#[test]
fn det_curves_with_their_points() {
    let good = DetCurve::new(&scores(2000, 2.0, 1.5), &scores(20_000, 0.0, 1.5)).unwrap();
    let poor = DetCurve::new(&scores(2000, 1.0, 1.5), &scores(20_000, 0.0, 1.5)).unwrap();
    let system = |name: &str, curve| DetSystem { name: name.to_owned(), curve };
    let plot = DetPlot {
        title: Some("Two systems".to_owned()),
        systems: vec![system("good", &good), system("poor", &poor)],
        costs: vec![DcfParameters::default()],
    };
    let svg = drawn(&plot);
    let text = |name, curve: &DetCurve| {
        let least = curve.min_dcf(&DcfParameters::default()).cost;
        format!("{name}: EER {:.2} %, minDCF(0.01) {least:.3}", 100.0 * curve.eer().rate)
    };
    for expected in ["Two systems", "Miss rate (%)", "0.1", &text("good", &good), &text("poor", &poor)] {
        assert!(says(&svg, expected), "{expected}");
    }
    // Curves are thinned to what can be seen.
    assert!(svg.len() < 400_000, "{}", svg.len());
}

/// The numbers of an attribute of an SVG element.
fn numbers(element: &str, attribute: &str) -> Vec<f64> {
    let from = element.split(&format!(" {attribute}=\"")).nth(1).unwrap_or_default();
    let value = from.split('"').next().unwrap_or_default();
    value.split([' ', ',']).filter_map(|number| number.parse().ok()).collect()
}

/// Points along the curves and markers that are drawn before the legend, whose box is the last rectangle: `[x, y]`.
fn before_the_legend(svg: &str) -> (Vec<[f64; 2]>, [f64; 4]) {
    let (drawn, legend) = svg[..svg.rfind("<rect ").unwrap()].rsplit_once("<rect ").unwrap();
    let end = |attribute| numbers(&format!(" {legend}"), attribute)[0];
    let (x, y) = (end("x"), end("y"));
    let ends = [x, y, x + end("width"), y + end("height")];
    let mut points = Vec::new();
    for element in drawn.split('<').filter(|element| !element.contains("opacity=\"0.")) {
        if element.starts_with("circle ") {
            points.push([numbers(element, "cx")[0], numbers(element, "cy")[0]]);
        } else if element.starts_with("poly") {
            let path: Vec<[f64; 2]> =
                numbers(element, "points").chunks_exact(2).map(|xy| [xy[0], xy[1]]).collect();
            for pair in path.windows(2) {
                let between = (0..=100).map(|n| f64::from(n) / 100.0);
                points.extend(between.map(|at| [0, 1].map(|i| pair[0][i] + at * (pair[1][i] - pair[0][i]))));
            }
        }
    }
    (points, ends)
}

/// Good systems leave the upper right corner free, poor ones the lower left; of both, the legend is above the axes.
#[test]
fn the_legend_of_det_curves_covers_none() {
    let nontarget = scores(3000, 0.0, 1.5);
    let curve = |centre: f64| DetCurve::new(&scores(2000, centre, 1.5), &nontarget).unwrap();
    let (good, poor, worst) = (curve(2.6), curve(1.0), curve(0.3));
    let mut places = Vec::new();
    for curves in [vec![&good, &good], vec![&poor], vec![&worst; 3], vec![&good, &poor, &worst]] {
        for name in ["a", "the name of a system that says all that was done"] {
            let systems = curves.iter().map(|&curve| DetSystem { name: name.to_owned(), curve }).collect();
            let svg = drawn(&DetPlot { title: None, systems, costs: vec![DcfParameters::default()] });
            let (points, [left, top, right, bottom]) = before_the_legend(&svg);
            assert!(points.len() > 1000, "{}", points.len());
            let covered =
                points.iter().find(|[x, y]| (left..=right).contains(x) && (top..=bottom).contains(y));
            assert_eq!(covered, None, "{} curves, {name}: {left} {top} {right} {bottom}", curves.len());
            assert!(left >= 0.0 && top >= 0.0 && right <= 640.0 && bottom <= 640.0);
            let least = points.iter().map(|[_, y]| *y).fold(f64::INFINITY, f64::min);
            places.push(if bottom < least {
                "above"
            } else if top > 320.0 {
                "below"
            } else {
                "right"
            });
        }
    }
    for place in ["above", "below", "right"] {
        assert!(places.contains(&place), "{places:?}");
    }
}

#[test]
fn odd_curves_are_drawn_too() {
    for (target, nontarget) in [([1.0, 2.0], [-1.0, 0.0]), ([0.0, 0.0], [0.0, 0.0]), ([0.0, 1.0], [2.0, 3.0])]
    {
        let curve = DetCurve::new(&target, &nontarget).unwrap();
        let systems = vec![DetSystem { name: "odd".to_owned(), curve: &curve }];
        let svg = drawn(&DetPlot { title: None, systems, costs: vec![DcfParameters::default()] });
        assert!(svg.contains("odd: EER"));
        let plot =
            HistogramPlot { title: None, target: &target, nontarget: &nontarget, thresholds: Vec::new() };
        assert!(says(&drawn(&plot), "2 target trials"));
    }
}

#[test]
fn histograms_with_thresholds() {
    let (target, nontarget) = (scores(500, 2.0, 1.5), scores(3000, 0.0, 1.5));
    let thresholds = vec![("EER".to_owned(), 1.0), ("reject all".to_owned(), f64::INFINITY)];
    let svg = drawn(&HistogramPlot { title: None, target: &target, nontarget: &nontarget, thresholds });
    for expected in ["500 target trials", "3000 non-target trials", "EER", "Density"] {
        assert!(says(&svg, expected), "{expected}");
    }
    assert!(!says(&svg, "reject all"));
}

#[test]
fn calibration_of_two_systems() {
    let pav = Pav::fit(&scores(500, 2.0, 3.0), &scores(3000, -2.0, 3.0)).unwrap();
    let half = Pav::fit(&scores(500, 1.0, 1.5), &scores(3000, -1.0, 1.5)).unwrap();
    let system = |name: &str, pav| CalibrationSystem { name: name.to_owned(), pav };
    let systems = vec![system("as it is", pav), system("too timid", half)];
    let svg = drawn(&CalibrationPlot { title: None, systems });
    assert!(says(&svg, "as it is") && says(&svg, "too timid"));

    let separable = Pav::fit(&[1.0], &[0.0]).unwrap();
    let systems = vec![system("perfect", separable)];
    let dir = tempfile::tempdir().unwrap();
    let error = write(&CalibrationPlot { title: None, systems }, dir.path().join("a.svg")).unwrap_err();
    assert!(matches!(error, Error::Empty(_)), "{error}");
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
}

#[test]
fn bars_with_intervals_and_without_enough_trials() {
    let bar = |value, interval| Some(Bar { value, interval });
    let bars = ConditionBars {
        title: Some("By distance".to_owned()),
        measure: "EER (%)".to_owned(),
        conditions: ["0.25M", "-1.5M", "5M"].map(str::to_owned).to_vec(),
        systems: vec![
            ConditionSystem {
                name: "cosine".to_owned(),
                bars: vec![bar(2.5, Some((2.0, 3.1))), bar(8.25, None), None],
            },
            ConditionSystem { name: "AS-norm".to_owned(), bars: vec![bar(2.25, None), bar(7.0, None), None] },
        ],
    };
    let svg = drawn(&bars);
    for expected in ["By distance", "EER (%)", "cosine", "AS-norm", "-1.5M", "8.25", "too few trials"] {
        assert!(says(&svg, expected), "{expected}");
    }
}

#[test]
fn other_endings_are_refused() {
    let plot = HistogramPlot { title: None, target: &[1.0], nontarget: &[0.0], thresholds: Vec::new() };
    let dir = tempfile::tempdir().unwrap();
    let error = write(&plot, dir.path().join("a.pdf")).unwrap_err().to_string();
    assert!(error.contains("a.pdf") && error.contains(".svg or .png"), "{error}");
}

#[test]
fn a_sweep_with_what_is_proposed() {
    let curve = |name: &str, value: &dyn Fn(f64) -> f64| SweepCurve {
        name: name.to_owned(),
        values: (2..=20).map(|clusters| (10 * clusters, value(clusters as f64))).collect(),
    };
    let panel = |label: &str, curves| SweepPanel { label: label.to_owned(), curves };
    let mut plot = SweepPlot {
        title: Some("Target recordings".to_owned()),
        panels: vec![
            panel(
                "Mean cosine",
                vec![curve("clusters", &|k| 1.0 - 0.5 / k), curve("utterances", &|k| 1.0 - 0.6 / k)],
            ),
            panel("Silhouette", vec![curve("silhouette", &|k| (k - 6.0).powi(2) / -100.0)]),
        ],
        proposals: vec![("knee".to_owned(), 50), ("silhouette".to_owned(), 60), ("bend".to_owned(), 50)],
    };
    let svg = drawn(&plot);
    for expected in
        ["Target recordings", "Mean cosine", "utterances", "K = 50: knee, bend", "K = 60: silhouette"]
    {
        assert!(says(&svg, expected), "{expected}");
    }
    // A single number of clusters is drawn, a measure that is no number is not.
    plot.panels[1].curves[0].values.truncate(1);
    drawn(&plot);
    plot.panels[0].curves[0].values[3].1 = f64::NAN;
    assert!(write(&plot, "x.svg").unwrap_err().to_string().contains("the measure of 50 clusters is NaN"));
    plot.panels.clear();
    assert!(matches!(write(&plot, "x.svg"), Err(Error::Empty(_))));
}

#[test]
fn costs_over_the_prior() {
    let (target, nontarget) = (scores(2000, 2.0, 1.5), scores(20_000, -2.0, 1.5));
    let system = PriorSystem::new("llr", &target, &nontarget).unwrap();
    // At the ends and in the middle by the definition: errors counted at the Bayes threshold, and at every score.
    let costs = system.costs();
    for at in [0, 35, 70] {
        let (log_odds, actual, least) = costs[at];
        assert!((log_odds - (at as f64 / 5.0 - 7.0)).abs() < 1e-12);
        let p = 1.0 / (1.0 + f64::exp(-log_odds));
        let share = |scores: &[f64], is_error: &dyn Fn(f64) -> bool| {
            scores.iter().filter(|&&score| is_error(score)).count() as f64 / scores.len() as f64
        };
        let cost = |threshold: f64| {
            let (p_miss, p_fa) =
                (share(&target, &|score| score < threshold), share(&nontarget, &|score| score >= threshold));
            (p * p_miss + (1.0 - p) * p_fa) / p.min(1.0 - p)
        };
        assert!((cost(-log_odds) - actual).abs() < 1e-9, "{at}");
        let thresholds = target.iter().chain(nontarget.iter().step_by(7)).copied().chain([f64::INFINITY]);
        let found = thresholds.map(cost).fold(f64::INFINITY, f64::min);
        assert!(
            least <= found + 1e-9 && least <= actual + 1e-9 && least > found - 0.01,
            "{at}: {least} {found}"
        );
    }
    let poor = PriorSystem::new("poor", &scores(200, 0.2, 1.5), &nontarget).unwrap();
    let plot = PriorPlot { title: None, systems: vec![system, poor], costs: vec![DcfParameters::default()] };
    let svg = drawn(&plot);
    for expected in ["Log odds of the prior of a target", "Normalised DCF", "llr", "poor"] {
        assert!(says(&svg, expected), "{expected}");
    }
    let nobody = drawn_error(&PriorPlot { title: None, systems: Vec::new(), costs: Vec::new() });
    assert_eq!(nobody, "nothing to draw: no system");
}

#[test]
fn curves_over_steps() {
    let curve = |name: &str, count: usize| StepCurve {
        name: name.to_owned(),
        values: (1..=count).map(|step| (step, 1.0 / step as f64)).collect(),
    };
    let mut broken = curve("broken", 30);
    broken.values[3].1 = f64::NAN;
    let plot = |curves| StepsPlot { title: None, label: "Loss".to_owned(), curves, from_zero: true };
    let svg = drawn(&plot(vec![curve("long", 100_000), broken]));
    for expected in ["Step", "Loss", "long", "broken"] {
        assert!(says(&svg, expected), "{expected}");
    }
    assert!(!svg.contains("NaN") && svg.len() < 60_000, "{}", svg.len());
    // One curve needs no legend, and one step is a picture.
    let svg = drawn(&plot(vec![curve("alone", 1)]));
    assert!(!says(&svg, "alone"));
    assert_eq!(drawn_error(&plot(Vec::new())), "nothing to draw: no step has a number for \"Loss\"");
}

fn drawn_error(picture: &impl Picture) -> String {
    ffsvc_plots::svg(picture).unwrap_err().to_string()
}
