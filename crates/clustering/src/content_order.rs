//! An order of points that depends on their numbers alone.
//!
//! K-means draws its first centres by row number, and sums and ties follow the order of the rows. Clustering therefore
//! works on the rows in this order, and returns the labels in the caller's. The same points in another order give the
//! same clusters, bit for bit.

use std::cmp::Ordering;

use rayon::prelude::*;

/// Compares two rows number by number. Rows that are equal have the same bits.
fn compare(one: &[f32], other: &[f32]) -> Ordering {
    let numbers = one.iter().zip(other).map(|(a, b)| a.total_cmp(b));
    numbers.into_iter().find(|order| order.is_ne()).unwrap_or(Ordering::Equal)
}

/// The numbers of the rows of `dim` values in content order; `None` if they are in it already. Equal rows are ordered by `tie`.
fn order_with(data: &[f32], dim: usize, tie: impl Fn(u32, u32) -> Ordering + Sync) -> Option<Vec<u32>> {
    let row = |number: u32| &data[number as usize * dim..][..dim];
    let by_content = |&a: &u32, &b: &u32| compare(row(a), row(b)).then_with(|| tie(a, b));
    let mut order: Vec<u32> = (0..(data.len() / dim) as u32).collect();
    if order.is_sorted_by(|a, b| by_content(a, b).is_le()) {
        return None;
    }
    order.par_sort_by(by_content);
    Some(order)
}

/// The numbers of the rows in content order; `None` if they are in it already. Equal rows keep their order.
pub(crate) fn content_order(data: &[f32], dim: usize) -> Option<Vec<u32>> {
    order_with(data, dim, |_, _| Ordering::Equal)
}

/// The numbers of the rows in content order, equal rows in that of their names; `None` if they are in it already.
pub(crate) fn content_and_name_order(data: &[f32], dim: usize, names: &[String]) -> Option<Vec<u32>> {
    order_with(data, dim, |a, b| names[a as usize].cmp(&names[b as usize]))
}

/// Values of ordered rows, put where the rows came from: `order[place]` is the row at that place.
pub(crate) fn back_from<T: Copy + Default>(order: &[u32], ordered: &[T]) -> Vec<T> {
    let mut values = vec![T::default(); ordered.len()];
    order.iter().zip(ordered).for_each(|(&row, &value)| values[row as usize] = value);
    values
}

/// Puts rows of `width` values into an order without a copy of them all.
pub(crate) fn reorder<T: Copy + Default>(rows: &mut [T], width: usize, order: &[u32]) {
    let mut done = vec![false; order.len()];
    let mut first = vec![T::default(); width];
    for start in 0..order.len() {
        if done[start] {
            continue;
        }
        // A cycle of the permutation: each place takes the row of the next, the last one that of the first.
        first.copy_from_slice(&rows[start * width..][..width]);
        let mut place = start;
        loop {
            done[place] = true;
            let from = order[place] as usize;
            if from == start {
                rows[place * width..][..width].copy_from_slice(&first);
                break;
            }
            rows.copy_within(from * width..(from + 1) * width, place * width);
            place = from;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_reordered_in_place_and_labels_come_back() {
        let order = [3, 0, 1, 2, 4, 6, 5];
        let mut rows: Vec<u32> = (0..7).flat_map(|row| [row, 10 * row]).collect();
        reorder(&mut rows, 2, &order);
        assert_eq!(rows, order.iter().flat_map(|&row| [row, 10 * row]).collect::<Vec<_>>());
        let ordered: Vec<u32> = order.iter().map(|row| 100 + row).collect();
        assert_eq!(back_from(&order, &ordered), [100, 101, 102, 103, 104, 105, 106]);
    }

    #[test]
    fn equal_rows_are_ordered_by_name() {
        let points = [2.0, 1.0, 2.0, -1.0];
        let names = ["z", "m", "a", "b"].map(str::to_owned);
        assert_eq!(content_and_name_order(&points, 1, &names), Some(vec![3, 1, 2, 0]));
        assert_eq!(content_order(&points, 1), Some(vec![3, 1, 0, 2]));
        assert_eq!(content_order(&[-1.0, 1.0, 1.0], 1), None);
    }
}
