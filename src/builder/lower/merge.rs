//! Plans of several platforms as one: steps that do the same on the same inputs are there once.

use super::Plan;
use crate::builder::graph::{CopySourceOp, MountOp, Op, Place, Vertex, VertexIndex};
use crate::builder::state::StageState;
use std::sync::Arc;

/// Adds the plan of a further platform.
pub(super) fn merge(into: &mut Plan, plan: Plan) {
    let mut places: Vec<VertexIndex> = Vec::with_capacity(plan.graph.vertices.len());
    for mut vertex in plan.graph.vertices {
        renumber(&mut vertex, &places);
        let known = into.graph.vertices.iter().position(|known| is_same(known, &vertex));
        places.push(known.unwrap_or_else(|| into.graph.add(vertex)));
    }
    let mut target = plan.target;
    renumber_state(&mut target, &places);
    into.others.push(target);
    for warning in plan.warnings {
        if !into.warnings.contains(&warning) {
            into.warnings.push(warning);
        }
    }
    for image in plan.images {
        if !into.images.contains(&image) {
            into.images.push(image);
        }
    }
}

/// Whether two steps give the same; the line that shows them may differ.
fn is_same(one: &Vertex, other: &Vertex) -> bool {
    one.parent == other.parent
        && one.position == other.position
        && one.stage == other.stage
        && one.ignore_cache == other.ignore_cache
        && one.op == other.op
}

fn renumber(vertex: &mut Vertex, places: &[VertexIndex]) {
    let place = |place: &mut Place| {
        if let Place::Vertex(index) = place {
            *index = places[*index];
        }
    };
    vertex.parent = vertex.parent.map(|parent| places[parent]);
    match &mut vertex.op {
        Op::Source(_) | Op::Workdir(_) => {}
        Op::Run(run) => {
            for mount in &mut run.mounts {
                if let MountOp::Bind { from, .. } | MountOp::Cache { from, .. } = mount {
                    place(from);
                }
            }
        }
        Op::Copy(copy) => {
            for source in &mut copy.sources {
                if let CopySourceOp::Path { place: from, .. } = source {
                    place(from);
                }
            }
        }
    }
}

fn renumber_state(state: &mut StageState, places: &[VertexIndex]) {
    state.vertex = state.vertex.map(|vertex| places[vertex]);
    for planned in &mut state.history {
        if let Some(vertex) = planned.vertex {
            Arc::make_mut(planned).vertex = Some(places[vertex]);
        }
    }
}
