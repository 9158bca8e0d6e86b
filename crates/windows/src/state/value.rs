//! Plain values: numbers, texts, lists, event values.

use std::collections::{BTreeMap, VecDeque};

use mesh_event::{Flags, Opcode, Value};

use super::{Damage, Reader, State, Writer};

macro_rules! number {
    ($($number:ty),*) => {$(
        impl State for $number {
            fn save(&self, to: &mut Writer<'_>) {
                to.bytes(&self.to_le_bytes());
            }

            fn load(from: &mut Reader<'_>) -> Result<Self, Damage> {
                Ok(<$number>::from_le_bytes(from.array()?))
            }
        }
    )*};
}

number!(u8, u16, u32, u64, i32, i64, i128, f64);

impl State for bool {
    fn save(&self, to: &mut Writer<'_>) {
        to.put(&u8::from(*self));
    }

    fn load(from: &mut Reader<'_>) -> Result<Self, Damage> {
        match from.get::<u8>()? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(Damage::Broken("a truth value is neither 0 nor 1")),
        }
    }
}

impl State for usize {
    fn save(&self, to: &mut Writer<'_>) {
        to.put(&(*self as u64));
    }

    fn load(from: &mut Reader<'_>) -> Result<Self, Damage> {
        usize::try_from(from.get::<u64>()?).map_err(|_| Damage::Broken("a number beyond memory"))
    }
}

impl State for String {
    fn save(&self, to: &mut Writer<'_>) {
        to.length(self.len());
        to.bytes(self.as_bytes());
    }

    fn load(from: &mut Reader<'_>) -> Result<Self, Damage> {
        let (length, _) = from.length()?;
        String::from_utf8(from.bytes(length)?).map_err(|_| Damage::Broken("a text is not UTF-8"))
    }
}

impl<T: State> State for Option<T> {
    fn save(&self, to: &mut Writer<'_>) {
        to.put(&self.is_some());
        if let Some(value) = self {
            to.put(value);
        }
    }

    fn load(from: &mut Reader<'_>) -> Result<Self, Damage> {
        Ok(if from.get()? { Some(from.get()?) } else { None })
    }
}

impl<T: State> State for Vec<T> {
    fn save(&self, to: &mut Writer<'_>) {
        to.length(self.len());
        self.iter().for_each(|value| to.put(value));
    }

    fn load(from: &mut Reader<'_>) -> Result<Self, Damage> {
        let (length, capacity) = from.length()?;
        let mut values = Vec::with_capacity(capacity);
        for _ in 0..length {
            values.push(from.get()?);
        }
        Ok(values)
    }
}

impl<T: State> State for VecDeque<T> {
    fn save(&self, to: &mut Writer<'_>) {
        to.length(self.len());
        self.iter().for_each(|value| to.put(value));
    }

    fn load(from: &mut Reader<'_>) -> Result<Self, Damage> {
        Ok(from.get::<Vec<T>>()?.into())
    }
}

impl<K: State + Ord, V: State> State for BTreeMap<K, V> {
    fn save(&self, to: &mut Writer<'_>) {
        to.length(self.len());
        for (key, value) in self {
            to.put(key);
            to.put(value);
        }
    }

    fn load(from: &mut Reader<'_>) -> Result<Self, Damage> {
        let (length, _) = from.length()?;
        let mut map = BTreeMap::new();
        for _ in 0..length {
            let key: K = from.get()?;
            if map.last_key_value().is_some_and(|(last, _)| *last >= key) {
                return Err(Damage::Broken("the keys of a map do not rise"));
            }
            map.insert(key, from.get()?);
        }
        Ok(map)
    }
}

macro_rules! tuple {
    ($($name:ident $at:tt),*) => {
        impl<$($name: State),*> State for ($($name,)*) {
            fn save(&self, to: &mut Writer<'_>) {
                $(to.put(&self.$at);)*
            }

            fn load(from: &mut Reader<'_>) -> Result<Self, Damage> {
                Ok(($(from.get::<$name>()?,)*))
            }
        }
    };
}

tuple!(A 0, B 1);
tuple!(A 0, B 1, C 2);
tuple!(A 0, B 1, C 2, D 3);

impl<T: State + Copy + Default, const N: usize> State for [T; N] {
    fn save(&self, to: &mut Writer<'_>) {
        self.iter().for_each(|value| to.put(value));
    }

    fn load(from: &mut Reader<'_>) -> Result<Self, Damage> {
        let mut values = [T::default(); N];
        for value in &mut values {
            *value = from.get()?;
        }
        Ok(values)
    }
}

impl State for Opcode {
    fn save(&self, to: &mut Writer<'_>) {
        to.put(&(*self as u8));
    }

    fn load(from: &mut Reader<'_>) -> Result<Self, Damage> {
        Opcode::from_wire(from.get()?).ok_or(Damage::Broken("there is no such opcode"))
    }
}

impl State for Flags {
    fn save(&self, to: &mut Writer<'_>) {
        to.put(&self.0);
    }

    fn load(from: &mut Reader<'_>) -> Result<Self, Damage> {
        Ok(Flags(from.get()?))
    }
}

impl State for Value {
    fn save(&self, to: &mut Writer<'_>) {
        macro_rules! array {
            ($tag:expr, $values:expr) => {{
                to.put(&($tag as u8));
                to.length($values.len());
                $values.iter().for_each(|value| to.put(value));
            }};
        }
        match self {
            Value::Null => to.put(&0_u8),
            Value::Int32(x) => to.put(&(1_u8, *x)),
            Value::Int64(x) => to.put(&(2_u8, *x)),
            Value::Double(x) => to.put(&(3_u8, *x)),
            Value::String(x) => {
                to.put(&4_u8);
                to.length(x.len());
                to.bytes(x.as_bytes());
            }
            Value::Date(x) => to.put(&(5_u8, *x)),
            Value::Stamp(x) => to.put(&(6_u8, *x)),
            Value::Money(x) => to.put(&(7_u8, *x)),
            Value::Blob(x) => {
                to.put(&8_u8);
                to.length(x.len());
                to.bytes(x);
            }
            Value::ArrayInt32(x) => array!(9, x),
            Value::ArrayInt64(x) => array!(10, x),
            Value::ArrayDouble(x) => array!(11, x),
        }
    }

    fn load(from: &mut Reader<'_>) -> Result<Self, Damage> {
        Ok(match from.get::<u8>()? {
            0 => Value::Null,
            1 => Value::Int32(from.get()?),
            2 => Value::Int64(from.get()?),
            3 => Value::Double(from.get()?),
            4 => Value::String(from.get::<String>()?.into()),
            5 => Value::Date(from.get()?),
            6 => Value::Stamp(from.get()?),
            7 => Value::Money(from.get()?),
            8 => {
                let (length, _) = from.length()?;
                Value::Blob(from.bytes(length)?.into())
            }
            9 => Value::ArrayInt32(from.get::<Vec<i32>>()?.into()),
            10 => Value::ArrayInt64(from.get::<Vec<i64>>()?.into()),
            11 => Value::ArrayDouble(from.get::<Vec<f64>>()?.into()),
            _ => return Err(Damage::Broken("there is no such type of value")),
        })
    }
}
