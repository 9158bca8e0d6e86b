//! The names that the programs of a window may use: fields, the initializer's variables, user functions.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use mesh_event::{FieldType, Schema};

use crate::ast::ObjectKind;
use crate::check::{self, Checked, Mode};
use crate::suggest::nearest;
use crate::{ExprError, Type, parser};

/// Most bytes of a text that is a result, where a window does not say.
pub const TEXTS_MAX: usize = 1024;

/// The names that a program may use. All programs of a window are compiled in one scope, so that they share variables.
#[derive(Debug, Clone)]
pub struct Scope {
    pub(crate) fields: Vec<(String, FieldType)>,
    pub(crate) library: Arc<Library>,
    /// Variables of a pattern's events, bound by `variable == value`.
    pub(crate) bindings: Option<Arc<Mutex<Bindings>>>,
    /// Most bytes of a text that is a result; `None`: nobody asked for a limit.
    pub(crate) texts_max: Option<usize>,
}

/// Names and slots.
type Bindings = Vec<(String, usize)>;

/// What the programs of a window share.
#[derive(Debug, Clone, Default)]
pub(crate) struct Library {
    pub kept: Vec<Kept>,
    pub functions: Vec<UserFunction>,
    pub initializer: Option<Arc<Checked>>,
    /// Texts of the initializer and the functions.
    pub texts: Vec<String>,
    /// Slots given out for variables, and for objects, that outlive an event.
    slots: Arc<AtomicUsize>,
    objects: Arc<AtomicUsize>,
}

/// A variable of the initializer.
#[derive(Debug, Clone)]
pub(crate) struct Kept {
    pub name: String,
    pub slot: usize,
    pub kind: KeptKind,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum KeptKind {
    Value { ty: Type, size: Option<i64> },
    Object(ObjectKind),
}

#[derive(Debug, Clone)]
pub(crate) struct UserFunction {
    pub name: String,
    pub ty: Type,
    /// Nothing until its body was compiled.
    pub code: Option<Arc<Checked>>,
}

impl Library {
    pub fn new_slot(&self) -> usize {
        self.slots.fetch_add(1, Ordering::Relaxed)
    }

    pub fn new_object(&self) -> usize {
        self.objects.fetch_add(1, Ordering::Relaxed)
    }
}

impl Scope {
    /// The fields of a window's input, `ESP_OPCODE` and `ESP_FLAGS`.
    pub fn new(input: &Schema) -> Scope {
        Scope::of_fields(input.fields().iter().map(|field| (field.name.clone(), field.ty)))
    }

    /// These fields, by their position in the blocks that programs will see.
    pub fn of_fields(fields: impl IntoIterator<Item = (String, FieldType)>) -> Scope {
        Scope { fields: fields.into_iter().collect(), library: Arc::default(), bindings: None, texts_max: None }
    }

    /// For the events of a pattern: `variable == value`, where the variable is no field, sets the variable when it has
    /// no value yet, and compares afterwards. Programs of one scope share the variables.
    #[must_use]
    pub fn with_bindings(self) -> Scope {
        Scope { bindings: Some(Arc::default()), ..self }
    }

    /// Texts that are results of programs have at most so many bytes; what is longer is cut, at a character.
    #[must_use]
    pub fn with_texts_max(self, bytes: usize) -> Scope {
        Scope { texts_max: Some(bytes), ..self }
    }

    /// Makes a user function known; its body follows with [`Scope::define_function`], so that functions may call each
    /// other. `ty` is a type of the language or of a field (`integer`, `real`, `string`, `int64`, `double`, ...).
    ///
    /// # Errors
    /// When the type is none, or the name is taken; the span is empty.
    pub fn declare_function(&mut self, name: &str, ty: &str) -> Result<(), ExprError> {
        let Some(result) = Type::parse(ty) else {
            let known = ["integer", "real", "string", "boolean", "date"];
            let near = nearest(ty, known).map(|near| format!("did you mean `{near}`? "));
            let help = format!("{}known: {}", near.unwrap_or_default(), known.join(", "));
            return Err(ExprError::at("", 0..0, format!("`{ty}` is no type of a function"), Some(help)));
        };
        if self.function(name).is_some() {
            let message = format!("there are two functions `{name}`");
            return Err(ExprError::at("", 0..0, message, Some("give one of them another name".into())));
        }
        let library = Arc::make_mut(&mut self.library);
        library.functions.push(UserFunction { name: name.to_owned(), ty: result, code: None });
        Ok(())
    }

    /// Compiles the initializer: its variables are known from here on, to all programs of the window.
    ///
    /// # Errors
    /// When the text is no program.
    pub fn initialize(&mut self, text: &str) -> Result<(), ExprError> {
        let stmts = parser::program(text)?;
        let (code, kept) = check::check(text, &stmts, self, Mode::Initializer)?;
        let library = Arc::make_mut(&mut self.library);
        library.kept.extend(kept);
        library.initializer = Some(Arc::new(code));
        library.texts.push(text.to_owned());
        Ok(())
    }

    /// Compiles the body of a function that was declared.
    ///
    /// # Errors
    /// When the text is no program.
    ///
    /// # Panics
    /// When the function was not declared.
    pub fn define_function(&mut self, name: &str, text: &str) -> Result<(), ExprError> {
        let index = self.function(name).expect("the caller declared the function");
        let stmts = parser::program(text)?;
        let mode = Mode::Function(self.library.functions[index].ty);
        let (code, _) = check::check(text, &stmts, self, mode)?;
        let library = Arc::make_mut(&mut self.library);
        library.functions[index].code = Some(Arc::new(code));
        library.texts.push(format!("{name} {text}"));
        Ok(())
    }

    /// Position and type of a field.
    pub(crate) fn field(&self, name: &str) -> Option<(usize, FieldType)> {
        self.fields.iter().position(|(field, _)| field == name).map(|index| (index, self.fields[index].1))
    }

    pub(crate) fn function(&self, name: &str) -> Option<usize> {
        self.library.functions.iter().position(|function| function.name.eq_ignore_ascii_case(name))
    }

    /// The slot of a pattern's variable; made when it is new.
    pub(crate) fn binding(&self, name: &str) -> Option<usize> {
        let mut known = self.bindings.as_ref()?.lock().expect("nobody panics while holding it");
        if let Some((_, slot)) = known.iter().find(|(known, _)| known == name) {
            return Some(*slot);
        }
        let slot = self.library.new_slot();
        known.push((name.to_owned(), slot));
        Some(slot)
    }
}
