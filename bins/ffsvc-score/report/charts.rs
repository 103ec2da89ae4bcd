//! Curves and distributions of the scores.

use ffsvc_page::Html;
use ffsvc_plots::{
    CalibrationPlot, CalibrationSystem, DetPlot, DetSystem, HistogramPlot, PriorPlot, PriorSystem,
};
use ffsvc_scoring::Pav;
use ffsvc_scoring::metrics::DcfParameters;

use super::System;
use super::measures::in_words;

pub(super) fn det(systems: &[System], costs: &[DcfParameters]) -> Html {
    // A legend with all of them is wider than the chart.
    let costs: Vec<DcfParameters> = costs.iter().copied().take(1).collect();
    let curves = systems.iter().map(|system| DetSystem { name: system.name.clone(), curve: &system.curve });
    let least = costs.first().map_or_else(String::new, |costs| {
        format!(", hollow ones the least detection cost at a prior of {}", in_words(costs))
    });
    let caption = format!("Miss against false-alarm rate. Filled markers are the equal error rate{least}.");
    let plot = DetPlot { title: None, systems: curves.collect(), costs };
    Html::new().chart(&plot, caption)
}

pub(super) fn histograms(systems: &[System], costs: &[DcfParameters]) -> Html {
    let mut charts = Html::new();
    for System { name, target, nontarget, curve, .. } in systems {
        let mut thresholds = vec![("EER".to_owned(), curve.eer().threshold)];
        thresholds.extend(
            costs
                .iter()
                .take(1)
                .map(|costs| (format!("minDCF({})", in_words(costs)), curve.min_dcf(costs).threshold)),
        );
        let title = (systems.len() > 1).then(|| name.clone());
        let plot = HistogramPlot { title, target, nontarget, thresholds };
        charts = charts.chart(&plot, format!("Scores of {name}; both classes have the same area."));
    }
    Html::new().beside(charts)
}

pub(super) fn calibration(systems: &[System], costs: &[DcfParameters]) -> Html {
    let mut reliability = CalibrationPlot { title: None, systems: Vec::new() };
    let mut priors = PriorPlot { title: None, systems: Vec::new(), costs: costs.to_vec() };
    for System { name, target, nontarget, report, .. } in systems {
        let cllr = report.metrics.as_ref().and_then(|metrics| metrics.cllr);
        let cllr = cllr
            .map_or_else(String::new, |cllr| format!(": Cllr {:.3}, least {:.3}", cllr.actual, cllr.minimum));
        // The scores were measured before: they have both classes, and no NaN.
        if let Ok(pav) = Pav::fit(target, nontarget) {
            reliability.systems.push(CalibrationSystem { name: format!("{name}{cllr}"), pav });
        }
        priors.systems.extend(PriorSystem::new(name, target, nontarget));
    }
    let charts = Html::new()
        .chart(
            &reliability,
            "The log-likelihood ratio that scores turn out to have. Calibrated scores are on the diagonal.",
        )
        .chart(
            &priors,
            "Detection cost over the prior, costs of 1. Thick: decisions at the Bayes threshold. Thin: the least cost, with the \
             best threshold. Calibrated scores have both in one place. Upright: the operating points of the tables.",
        );
    Html::new().beside(charts)
}
