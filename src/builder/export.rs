//! The target's config, history and manifest, into the store and under its names.

use std::sync::Arc;
use std::time::SystemTime;

use jiff::Timestamp;

use super::build::BuildEnv;
use super::error::BuildError;
use super::lower::Plan;
use super::options::BuildOptions;
use super::solve::{Ids, Snapshot};
use super::state::PlannedHistory;
use crate::image::manifest::media_type;
use crate::image::{Descriptor, DiffId, History, ImageConfig, Index, Manifest, ManifestDigest};
use crate::progress::{Event, Outcome, VertexId};
use crate::store::{ImageRecord, StoreError};

/// What was written.
#[derive(Debug, Clone, PartialEq)]
pub struct Exported {
    /// The image.
    pub image: ImageRecord,
    /// What its names mean: its manifest, or an index of it.
    pub target: ManifestDigest,
    /// Its config's exact bytes.
    pub config: Vec<u8>,
}

/// Writes the image of a solved plan and gives it its names.
///
/// # Errors
/// The store can't be written, or a layer is gone.
pub fn export(
    plan: &Plan,
    snapshots: &[Arc<Snapshot>],
    options: &BuildOptions,
    env: BuildEnv<'_>,
    ids: &Ids,
) -> Result<Exported, BuildError> {
    let id = ids.next();
    let name = "exporting to image".to_owned();
    env.reporter.report(Event::VertexStarted { id, name, at: SystemTime::now() });
    let result = write(plan, snapshots, options, env, id);
    let outcome = match &result {
        Ok(_) => Outcome::Done,
        Err(error) => Outcome::Failed(error.to_string()),
    };
    env.reporter.report(Event::VertexDone { id, at: SystemTime::now(), outcome });
    result
}

fn write(
    plan: &Plan,
    snapshots: &[Arc<Snapshot>],
    options: &BuildOptions,
    env: BuildEnv<'_>,
    id: VertexId,
) -> Result<Exported, BuildError> {
    let status = |text: String| {
        for done in [false, true] {
            env.reporter.report(Event::VertexStatus { id, text: text.clone(), done });
        }
    };
    let config = config(plan, snapshots);
    status("exporting layers".to_owned());
    let bytes = config.to_json();
    let mut layers = Vec::with_capacity(config.rootfs.diff_ids.len());
    for diff_id in &config.rootfs.diff_ids {
        layers.push(layer_descriptor(env, *diff_id)?);
    }
    let descriptor = Descriptor::new(media_type::OCI_CONFIG, config.id().as_digest(), bytes.len() as u64);
    let (manifest, digest) = Manifest::oci(descriptor, layers).to_json();
    let image = env.store.put_image(&bytes, &manifest)?;
    let target = match wants_index(options) {
        false => digest,
        true => {
            let mut child =
                Descriptor::new(media_type::OCI_MANIFEST, digest.as_digest(), manifest.len() as u64);
            child.platform = Some(config.platform());
            let index = Index::oci(vec![child]);
            env.store.put_index(&serde_json::to_vec_pretty(&index).expect("an index serialises"))?
        }
    };
    status(format!("writing image {}", image.id));
    for tag in &options.tags {
        let tag = tag.clone().or_latest();
        env.store.tag(&tag, target)?;
        status(format!("naming to {tag}"));
    }
    Ok(Exported { image, target, config: bytes })
}

fn wants_index(options: &BuildOptions) -> bool {
    let value = options.build_args.get("BUILDKIT_MULTI_PLATFORM").map(String::as_str);
    matches!(value, Some("1" | "t" | "T" | "true" | "TRUE" | "True"))
}

fn layer_descriptor(env: BuildEnv<'_>, diff_id: DiffId) -> Result<Descriptor, BuildError> {
    let layer = env.store.layer(diff_id)?.ok_or(StoreError::NoLayer(diff_id))?;
    Ok(Descriptor::new(media_type::OCI_LAYER, diff_id.as_digest(), layer.size()))
}

/// Returns the config of the target with its history and layers.
fn config(plan: &Plan, snapshots: &[Arc<Snapshot>]) -> ImageConfig {
    let mut config = plan.target.image.clone();
    if let Some(vertex) = plan.target.vertex {
        config.rootfs.diff_ids.clone_from(&snapshots[vertex].layers);
    }
    let layer_time = |vertex: usize| snapshots[vertex].created;
    config.history = dated(&plan.target.history, plan.epoch, layer_time);
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
