//! Locals of the outermost block as globals: they are what a script remembers between events, and a snapshot must hold
//! them. Lines stay where they are.

use std::collections::BTreeMap;

use crate::ScriptError;
use crate::tokens::{Token, tokens};

/// The text with every `local` of the outermost block turned into an assignment.
pub(crate) fn hoisted(part: &str, text: &str) -> Result<String, ScriptError> {
    let tokens = tokens(text);
    let mut edits: Vec<(std::ops::Range<usize>, String)> = Vec::new();
    let mut lines: BTreeMap<&str, u32> = BTreeMap::new();
    let mut depth = 0_usize;
    for (at, token) in tokens.iter().enumerate() {
        match token.text {
            _ if token.quoted => {}
            // `while` and `for` have their `do`, `if` and `elseif` their `then`: one `end` for each of these.
            "function" | "do" | "if" | "repeat" => depth += 1,
            "end" | "until" => depth = depth.saturating_sub(1),
            "local" if depth == 0 => {
                let declared = declare(part, &tokens, at, &mut edits)?;
                for name in declared {
                    if let Some(first) = lines.insert(name.text, name.line) {
                        let message = format!(
                            "local `{}` is declared twice in the outermost block (first in line {first}); give one of \
                             them another name: both would be one variable of the window's state",
                            name.text
                        );
                        return Err(ScriptError::new(part, Some(name.line), message));
                    }
                }
            }
            _ => {}
        }
    }
    let mut out = text.to_owned();
    for (range, with) in edits.into_iter().rev() {
        out.replace_range(range, &with);
    }
    Ok(out)
}

/// The names that the `local` at a token declares; adds what must be edited.
fn declare<'t, 'a>(
    part: &str,
    tokens: &'t [Token<'a>],
    local: usize,
    edits: &mut Vec<(std::ops::Range<usize>, String)>,
) -> Result<Vec<&'t Token<'a>>, ScriptError> {
    let text = |at: usize| tokens.get(at).map_or("", |token| token.text);
    edits.push((tokens[local].range.clone(), String::new()));
    let mut at = local + 1;
    if text(at) == "function" {
        return Ok(tokens.get(at + 1).into_iter().collect());
    }
    let mut names = Vec::new();
    loop {
        let Some(name) = tokens.get(at) else { return Ok(names) };
        names.push(name);
        at += 1;
        if text(at) == "<" && text(at + 2) == ">" {
            if text(at + 1) == "close" {
                let message = "a variable to be closed cannot be part of a window's state; close it in a function";
                return Err(ScriptError::new(part, Some(name.line), message));
            }
            edits.push((tokens[at].range.start..tokens[at + 2].range.end, String::new()));
            at += 3;
        }
        if text(at) != "," {
            break;
        }
        at += 1;
    }
    if text(at) != "=" {
        let end = tokens[at - 1].range.end;
        edits.push((end..end, "=nil".to_owned()));
    }
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn locals_of_the_outermost_block_become_globals_and_lines_stay() {
        let text = "local n = 1 -- local x\nlocal a, b\nlocal c <const> = [[local y]]\nlocal function f()\n  local n = 2\n  \
                    if n then local z end\nend\nfor i = 1, 2 do local q = i end\nrepeat local w until true\nlocal last = 3";
        let found = hoisted("code", text).expect("it is fine");
        let want = " n = 1 -- local x\n a, b=nil\n c  = [[local y]]\n function f()\n  local n = 2\n  \
                    if n then local z end\nend\nfor i = 1, 2 do local q = i end\nrepeat local w until true\n last = 3";
        assert_eq!(found, want);
    }

    #[test]
    fn a_name_twice_is_refused() {
        let error = hoisted("code", "local a = 1\n\nlocal a = 2").expect_err("it stands twice");
        assert_eq!((error.line, error.message.contains("first in line 1")), (Some(3), true));
    }
}
