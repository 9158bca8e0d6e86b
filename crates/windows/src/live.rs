//! Which columns of a window's output anybody looks at. A window that picks rows makes no column that nobody reads: its
//! place in the block is taken by a column without rows.

use std::sync::Arc;

use mesh_event::{Column, ColumnBuilder, Schema};

use crate::node::Node;

/// What a column of a window's output is needed for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Use {
    /// It goes out, or a later window reads it.
    Read,
    /// The window's digest covers it, and nobody else looks at it.
    Digested,
    Unused,
}

/// The uses of a window's columns.
#[derive(Debug, Clone)]
pub(crate) struct Live {
    uses: Arc<[Use]>,
    absent: Arc<[Arc<Column>]>,
}

impl Live {
    /// Every column is read.
    pub(crate) fn all(schema: &Schema) -> Live {
        Live::new(schema, vec![Use::Read; schema.fields().len()])
    }

    fn new(schema: &Schema, uses: Vec<Use>) -> Live {
        let absent = schema.fields().iter().map(|field| Arc::new(ColumnBuilder::new(field.ty, 0).finish()));
        Live { uses: uses.into(), absent: absent.collect() }
    }

    pub(crate) fn of(&self, field: usize) -> Use {
        self.uses[field]
    }

    /// Stands for a column that nobody reads.
    pub(crate) fn absent(&self, field: usize) -> Arc<Column> {
        Arc::clone(&self.absent[field])
    }

    /// For a window that makes all columns that its digest covers.
    pub(crate) fn with_digested(self) -> Live {
        let uses = self.uses.iter().map(|&of| if of == Use::Digested { Use::Read } else { of });
        Live { uses: uses.collect(), ..self }
    }
}

/// Tells every window of a query what is read of its output. `schemas`: of the windows; `first`: number of the first.
pub(crate) fn tell(nodes: &mut [Node], schemas: &[&Schema], first: usize) {
    for at in (0..nodes.len()).rev() {
        let schema = schemas[at];
        let mut uses = vec![Use::Unused; schema.fields().len()];
        nodes[at].digest.columns().for_each(|field| uses[field] = Use::Digested);
        let node = &nodes[at];
        if node.output.is_some() || node.outlet.is_some() || node.splitter.is_some() {
            uses.fill(Use::Read);
        }
        for target in &node.targets {
            let reader = &nodes[target.node - first];
            let mut read = vec![false; uses.len()];
            // Where streams meet, their rows are put together whole.
            let edges = nodes.iter().flat_map(|node| &node.targets);
            if edges.filter(|other| (other.node, other.side) == (target.node, target.side)).count() > 1 {
                read.fill(true);
            } else {
                reader.operator.reads(target.side, &reader.made, &mut read);
            }
            uses.iter_mut().zip(read).filter(|(_, read)| *read).for_each(|(of, _)| *of = Use::Read);
        }
        let node = &mut nodes[at];
        node.made = uses.iter().map(|&of| of != Use::Unused).collect();
        node.operator.set_live(Live::new(schema, uses));
    }
}
