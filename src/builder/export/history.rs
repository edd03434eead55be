//! The history's times, and the config that they belong to.

use std::sync::Arc;

use jiff::Timestamp;

use crate::builder::build::Solved;
use crate::builder::state::{PlannedHistory, StageState};
use crate::image::{History, ImageConfig};

/// Returns the config of a target with its history and layers.
pub(super) fn config(solved: &Solved, target: &StageState, epoch: Option<i64>) -> ImageConfig {
    let mut config = target.image.clone();
    if let Some(vertex) = target.vertex {
        config.rootfs.diff_ids.clone_from(&solved.snapshots[vertex].layers);
    }
    let layer_time = |vertex: usize| solved.snapshots[vertex].created;
    config.history = dated(&target.history, epoch, layer_time);
    config.created = config.history.last().and_then(|entry| entry.created.clone());
    config
}

/// Gives history entries their times, as BuildKit's exporter does.
///
/// A new layer's entry has its layer's time; an entry without layer that of the first new layer, or
/// of the nearest entry before it. Nothing new is younger than the epoch, and the base stays as it is.
fn dated(
    history: &[Arc<PlannedHistory>],
    epoch: Option<i64>,
    layer_time: impl Fn(usize) -> Timestamp,
) -> Vec<History> {
    let cap = epoch.and_then(|epoch| Timestamp::from_second(epoch).ok());
    let mut entries: Vec<History> = history
        .iter()
        .map(|planned| {
            let mut entry = planned.entry.clone();
            if !planned.from_base
                && let Some(cap) = cap
            {
                entry.created = Some(cap.to_string());
            } else if let Some(vertex) = planned.vertex {
                entry.created.get_or_insert_with(|| layer_time(vertex).to_string());
            }
            entry
        })
        .collect();
    let mut time = first_new_time(&entries);
    let mut filled = false;
    for entry in &mut entries {
        match &entry.created {
            Some(created) if filled => time = Some(created.clone()),
            Some(_) => {}
            None => {
                filled = true;
                entry.created.clone_from(&time);
            }
        }
    }
    entries
}

/// Returns the time of the first entry that has one behind an entry that has none, else the last time.
fn first_new_time(entries: &[History]) -> Option<String> {
    let mut time = None;
    let mut undated = false;
    for entry in entries {
        match &entry.created {
            Some(created) => {
                time = Some(created.clone());
                if undated {
                    break;
                }
            }
            None => undated = true,
        }
    }
    time
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `b5` a base entry of second 5, `l7` a layer of second 7, `e` an entry without layer.
    fn times(entries: &[&str], epoch: Option<i64>) -> Vec<String> {
        let mut created = Vec::new();
        let mut planned = Vec::new();
        for text in entries {
            let (kind, second) = text.split_at(1);
            let time = second.parse().ok().and_then(|s| Timestamp::from_second(s).ok());
            let mut entry = History { empty_layer: kind == "e", ..History::default() };
            let mut vertex = None;
            match kind {
                "b" => entry.created = time.map(|t| t.to_string()),
                "l" => {
                    vertex = Some(created.len());
                    created.push(time.unwrap());
                }
                _ => {}
            }
            planned.push(Arc::new(PlannedHistory { entry, vertex, from_base: kind == "b" }));
        }
        dated(&planned, epoch, |vertex| created[vertex])
            .into_iter()
            .map(|entry| {
                entry.created.map_or("-".to_owned(), |t| t[17..19].trim_start_matches('0').to_owned())
            })
            .collect()
    }

    #[test]
    fn every_entry_gets_the_time_of_a_layer_near_it() {
        for (entries, epoch, expected) in [
            (vec!["b1", "e", "l5", "e", "l7"], None, vec!["1", "5", "5", "5", "7"]),
            (vec!["b1", "e"], None, vec!["1", "1"]),
            (vec!["e", "e"], None, vec!["-", "-"]),
            (vec!["e", "l3", "e"], None, vec!["3", "3", "3"]),
            (vec!["b1", "l5", "e"], None, vec!["1", "5", "5"]),
            (vec!["b9", "e", "l5"], Some(2), vec!["9", "2", "2"]),
        ] {
            assert_eq!(times(&entries, epoch), expected, "{entries:?}");
        }
    }
}
