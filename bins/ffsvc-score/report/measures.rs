//! Tables of measures: of all trials and by condition.

use ffsvc_page::{Cell, Html, Table};
use ffsvc_scoring::metrics::{DcfParameters, Interval, Metrics};
use ffsvc_scoring::report::{BreakDown, Counts};

use super::{System, each};
use crate::plot::condition_bars;

/// A measure: its heading, its value and interval, and how it is shown.
struct Measure {
    heading: String,
    value: f64,
    interval: Option<Interval>,
    threshold: Option<f64>,
    in_per_cent: bool,
}

impl Measure {
    /// The digits are those of the report as text.
    fn shown(&self, value: f64) -> String {
        if self.in_per_cent { format!("{:.3} %", 100.0 * value) } else { format!("{value:.5}") }
    }

    fn cell(&self) -> Cell {
        let bounds = |Interval { low, high }: Interval| match self.in_per_cent {
            true => format!("[{:.3}, {:.3}]", 100.0 * low, 100.0 * high),
            false => format!("[{low:.5}, {high:.5}]"),
        };
        Cell::number(self.value, self.shown(self.value)).below(self.interval.map(bounds))
    }
}

/// The measures of the table, in their order.
fn measures(metrics: &Metrics) -> Vec<Measure> {
    let mut found = vec![Measure {
        heading: "EER".to_owned(),
        value: metrics.eer,
        interval: metrics.eer_interval,
        threshold: Some(metrics.eer_threshold),
        in_per_cent: true,
    }];
    for (name, costs) in [("minDCF", &metrics.min_dcf), ("actDCF", &metrics.act_dcf)] {
        found.extend(costs.iter().map(|dcf| Measure {
            heading: format!("{name}({})", in_words(&dcf.parameters)),
            value: dcf.cost,
            interval: dcf.interval,
            threshold: Some(dcf.threshold),
            in_per_cent: false,
        }));
    }
    found.extend(metrics.miss_at_fa.iter().map(|point| Measure {
        heading: format!("FRR at FAR {} %", 100.0 * point.allowed_p_fa),
        value: point.p_miss,
        interval: point.interval,
        threshold: Some(point.threshold),
        in_per_cent: true,
    }));
    if let Some(cllr) = &metrics.cllr {
        let of =
            [("Cllr", cllr.actual, cllr.actual_interval), ("min Cllr", cllr.minimum, cllr.minimum_interval)];
        found.extend(of.map(|(heading, value, interval)| Measure {
            heading: heading.to_owned(),
            value,
            interval,
            threshold: None,
            in_per_cent: false,
        }));
    }
    found
}

/// Prior and costs, as short as they can be told apart.
pub(super) fn in_words(costs: &DcfParameters) -> String {
    let (p_target, c_miss, c_fa) = (costs.p_target(), costs.c_miss(), costs.c_fa());
    match (c_miss, c_fa) {
        (1.0, 1.0) => p_target.to_string(),
        _ => format!("{p_target}, C_miss {c_miss}, C_fa {c_fa}"),
    }
}

/// The measures of all trials, a row for each system, and their thresholds.
pub(super) fn overview(systems: &[System]) -> Html {
    let of_systems: Vec<Vec<Measure>> =
        systems.iter().map(|system| system.report.metrics.as_ref().map_or_else(Vec::new, measures)).collect();
    let lowest = |column: usize| {
        let values = of_systems.iter().filter_map(|measures| measures.get(column)).map(|one| one.value);
        values.fold(f64::INFINITY, f64::min)
    };
    let headings = || of_systems.first().into_iter().flatten().map(|measure| measure.heading.clone());
    let mut rates = Table::new(["system".to_owned()].into_iter().chain(headings()));
    let mut thresholds = Table::new(
        ["system".to_owned()].into_iter().chain(
            of_systems
                .first()
                .into_iter()
                .flatten()
                .filter(|one| one.threshold.is_some())
                .map(|one| one.heading.clone()),
        ),
    );
    for (System { name, .. }, measures) in systems.iter().zip(&of_systems) {
        let is_best = |column: usize, value: f64| systems.len() > 1 && value <= lowest(column);
        let cells = measures.iter().enumerate();
        let cells = cells.map(|(column, one)| one.cell().best(is_best(column, one.value)));
        rates.row([Cell::text(name)].into_iter().chain(cells));
        let cells = measures.iter().filter_map(|one| one.threshold);
        let cells = cells.map(|threshold| Cell::number(threshold, format!("{threshold:.6}")));
        thresholds.row([Cell::text(name)].into_iter().chain(cells));
    }
    let mut html = Html::new();
    for line in counts_in_words(systems) {
        html = html.paragraph(line);
    }
    html = html.table(&rates);
    if let Some(metrics) = systems.first().and_then(|system| system.report.metrics.as_ref()) {
        if let Some(bootstrap) = &metrics.bootstrap {
            html = html.paragraph(format!("In brackets: confidence intervals of {bootstrap}."));
        }
        html = html.paragraph(match metrics.cllr {
            Some(_) => {
                "actDCF and Cllr take the scores for log-likelihood ratios, as a calibration makes them. For other scores \
                 they only tell how far these are from being calibrated."
            }
            None => {
                "EER and minDCF are those of the FFSVC2022 baseline: every score is an operating point, and trials are \
                 accepted above the threshold."
            }
        });
    }
    html.heading("Thresholds").table(&thresholds)
}

/// How many trials there are; once if all systems have scored the same.
fn counts_in_words(systems: &[System]) -> Vec<String> {
    let in_words = |counts: &Counts| {
        let (target, nontarget) = (counts.target.unwrap_or(0), counts.nontarget.unwrap_or(0));
        let mut words = format!("{} trials: {target} target, {nontarget} non-target", counts.trials);
        if counts.skipped > 0 {
            words += &format!(", {} without a score", counts.skipped);
        }
        words
    };
    let all: Vec<String> = systems.iter().map(|system| in_words(&system.report.counts)).collect();
    if all.windows(2).all(|pair| pair[0] == pair[1]) {
        return all.into_iter().take(1).map(|words| words + ".").collect();
    }
    systems.iter().zip(all).map(|(system, words)| format!("{}: {words}.", system.name)).collect()
}

/// Heading and content of the break-down at `place` in the order of the options.
pub(super) fn break_down(systems: &[System], place: usize) -> (String, Html) {
    let of = |system: &System| system.report.conditions[place].clone();
    let all: Vec<(&str, BreakDown)> =
        systems.iter().map(|system| (system.name.as_str(), of(system))).collect();
    let first = &all[0].1;
    let title = format!("By {} ({})", first.name, first.sides.in_words());
    let borrowed: Vec<(&str, &BreakDown)> = all.iter().map(|(name, by)| (*name, by)).collect();
    let bars = condition_bars(None, &borrowed);
    let html = Html::new().chart(&bars, format!("Equal error rate by {}, of each system.", first.name));
    let tables = each(systems, |html, system| table(html, &system.report.conditions[place]));
    (title, html.then(tables))
}

fn table(html: Html, by: &BreakDown) -> Html {
    // All conditions were asked for the same measures.
    let measured = by.conditions.iter().find_map(|condition| condition.metrics.as_ref());
    let headings = measured.map_or_else(Vec::new, measures).into_iter().map(|measure| measure.heading);
    let fixed = [by.name.clone(), "target".to_owned(), "non-target".to_owned()];
    let mut table = Table::new(fixed.into_iter().chain(headings));
    for condition in &by.conditions {
        let fixed =
            [Cell::text(&condition.value), Cell::count(condition.target), Cell::count(condition.nontarget)];
        let cells = match &condition.metrics {
            Some(metrics) => measures(metrics).iter().map(Measure::cell).collect(),
            None => vec![Cell::text("too few")],
        };
        table.row(fixed.into_iter().chain(cells));
    }
    let mut html = html.table(&table);
    if by.without_metrics() > 0 {
        html = html.paragraph(format!("Too few: fewer than {} trials of a class.", by.min_trials));
    }
    match by.without_value {
        0 => html,
        trials => {
            html.paragraph(format!("{trials} trials have no value in {} and are left out.", by.table.path))
        }
    }
}
