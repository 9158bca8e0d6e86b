//! Variables: declared, assigned, looked up.

use std::ops::Range;

use super::expr::{integer, reserved};
use super::{Checker, Mode, Variable, VariableKind};
use crate::ast::{Expr, ObjectKind, Stmt};
use crate::functions::{Kernel, left};
use crate::node::{Node, ObjectPlace, Place, Step};
use crate::scope::{Kept, KeptKind};
use crate::suggest::nearest;
use crate::{ExprError, Type};

impl Checker<'_> {
    pub(super) fn declare(&mut self, stmt: &Stmt, out: &mut Vec<Step>) -> Result<(), ExprError> {
        let Stmt::Declare { ty, name, span, keep, size, value } = stmt else { return Ok(()) };
        self.refuse_taken(name, span)?;
        let value = match value {
            Some(value) => Some(self.fitted(value, *ty, *size)?),
            None => None,
        };
        let (ty, size) = (*ty, *size);
        let lasting = self.mode == Mode::Initializer || *keep;
        let place = if lasting {
            self.pure = false;
            Place::Kept(self.scope.library.new_slot())
        } else {
            self.locals.push(ty);
            Place::Local(self.locals.len() - 1)
        };
        self.variables.push(Variable { name: name.clone(), kind: VariableKind::Value { place, ty, size } });
        if let (Mode::Initializer, Place::Kept(slot)) = (self.mode, place) {
            self.kept.push(Kept { name: name.clone(), slot, kind: KeptKind::Value { ty, size } });
        }
        match (place, value) {
            (Place::Kept(slot), Some(value)) if *keep => out.push(Step::Once { slot, value }),
            (place, Some(value)) => out.push(Step::Set { place, value }),
            // In a loop a declaration starts anew each time.
            (Place::Local(_), None) | (Place::Kept(_), None) => {}
        }
        Ok(())
    }

    pub(super) fn declare_object(
        &mut self,
        kind: ObjectKind,
        name: &str,
        span: &Range<usize>,
        keep: bool,
    ) -> Result<(), ExprError> {
        self.refuse_taken(name, span)?;
        self.pure = false;
        let place = if self.mode == Mode::Initializer || keep {
            ObjectPlace::Kept(self.scope.library.new_object())
        } else {
            self.objects += 1;
            ObjectPlace::Local(self.objects - 1)
        };
        self.variables.push(Variable { name: name.to_owned(), kind: VariableKind::Object { place, kind } });
        if let (Mode::Initializer, ObjectPlace::Kept(slot)) = (self.mode, place) {
            self.kept.push(Kept { name: name.to_owned(), slot, kind: KeptKind::Object(kind) });
        }
        Ok(())
    }

    fn refuse_taken(&self, name: &str, span: &Range<usize>) -> Result<(), ExprError> {
        let taken = if self.scope.field(name).is_some() || reserved(name).is_some() {
            "a field of the input"
        } else if self.variables.iter().any(|variable| variable.name.eq_ignore_ascii_case(name)) {
            "a variable declared above"
        } else if self.variable(name).is_some() && self.mode == Mode::Initializer {
            "a variable of the initializer"
        } else {
            return Ok(());
        };
        let message = format!("`{name}` is already {taken}");
        Err(self.error(span, message, Some("give the variable another name".into())))
    }

    pub(super) fn assign(
        &mut self,
        name: &str,
        span: &Range<usize>,
        value: &Expr,
        out: &mut Vec<Step>,
    ) -> Result<(), ExprError> {
        let (place, ty, size) = self.assignable(name, span)?;
        if matches!(place, Place::Kept(_)) {
            self.pure = false;
        }
        let value = self.fitted(value, ty, size)?;
        out.push(Step::Set { place, value });
        Ok(())
    }

    /// A value as a variable of this type and size holds it.
    fn fitted(&mut self, value: &Expr, ty: Type, size: Option<i64>) -> Result<Node, ExprError> {
        let site = self.site(&value.span);
        let node = self.converted(value, ty)?;
        Ok(match size {
            Some(size) if ty == Type::String => {
                let args = vec![node, Node::Constant(integer(size))];
                Node::Call { kernel: Kernel::TextInteger(left), args, site }
            }
            _ => node,
        })
    }

    /// A variable that can be assigned.
    pub(super) fn assignable(&self, name: &str, span: &Range<usize>) -> Result<(Place, Type, Option<i64>), ExprError> {
        let (message, help) = match self.variable(name) {
            Some(VariableKind::Value { place, ty, size }) => return Ok((place, ty, size)),
            Some(VariableKind::Object { .. }) => {
                (format!("`{name}` is an object and cannot be assigned"), "call its methods".to_owned())
            }
            None if self.scope.field(name).is_some() || reserved(name).is_some() => (
                format!("`{name}` is a field of the input and cannot be assigned"),
                "to compare, write `==`".to_owned(),
            ),
            None => {
                let near = nearest(name, self.names());
                let declare = format!("declare it first, for example `integer {name}`");
                (format!("`{name}` is not a variable"), near.map_or(declare, |near| format!("did you mean `{near}`?")))
            }
        };
        Err(self.error(span, message, Some(help)))
    }

    /// The variable of this name: the program's own, or one of the initializer's.
    pub(super) fn variable(&self, name: &str) -> Option<VariableKind> {
        if let Some(own) = self.variables.iter().find(|variable| variable.name.eq_ignore_ascii_case(name)) {
            return Some(own.kind);
        }
        let kept = self.scope.library.kept.iter().find(|kept| kept.name.eq_ignore_ascii_case(name))?;
        Some(match kept.kind {
            KeptKind::Value { ty, size } => VariableKind::Value { place: Place::Kept(kept.slot), ty, size },
            KeptKind::Object(kind) => VariableKind::Object { place: ObjectPlace::Kept(kept.slot), kind },
        })
    }

    /// Every variable.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        let kept = self.scope.library.kept.iter().map(|kept| kept.name.as_str());
        self.variables.iter().map(|variable| variable.name.as_str()).chain(kept)
    }
}
