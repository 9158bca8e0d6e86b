//! Windows whose scripts and word vectors are files that travel in the project.
#![allow(clippy::unwrap_used)] // a helper that panics fails its test

mod support;

use std::collections::BTreeMap;
use std::sync::Arc;

use mesh_model::files::{carried, named};
use mesh_model::{Project, parse_project};
use mesh_windows::{Executor, OutputBlock};
use support::{block, pretty, schema};

/// Of the source.
const SCHEMA: &str = "id*:int64,t:int64,word:string";

fn xml(windows: &str) -> String {
    format!(
        "<project name='p' pubsub='auto'><contqueries><contquery name='cq'><windows>
        <window-source name='s' index='pi_EMPTY'><schema-string>{SCHEMA}</schema-string></window-source>
        {windows}</windows><edges><edge source='s' target='w'/></edges></contquery></contqueries></project>"
    )
}

fn project(windows: &str, files: &[(&str, &str)]) -> Arc<Project> {
    let files: BTreeMap<String, String> = files.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
    let xml = xml(windows);
    assert_eq!(named(&xml), files.keys().cloned().collect::<Vec<_>>());
    let checked = parse_project(&carried(&xml, &files), "p.xml", &BTreeMap::new());
    Arc::new(checked.map_err(|problems| problems.to_string()).unwrap().project)
}

/// What the window puts out, with a state saved and restored between blocks.
fn run(project: Arc<Project>, blocks: &[&str]) -> Vec<String> {
    let mut executor = Executor::new(Arc::clone(&project));
    let mut sink: Vec<OutputBlock> = Vec::new();
    for text in blocks {
        executor.apply(0, &[block(&schema(SCHEMA), text)], &mut sink);
        let mut state = Vec::new();
        executor.save(&mut state).unwrap();
        executor = Executor::restore(Arc::clone(&project), &mut &state[..]).unwrap();
    }
    sink.iter().filter(|out| executor.outputs()[out.output].window == "w").map(|out| pretty(&out.block)).collect()
}

const SORTER: &str = "local Sorter = {}
    Sorter.__index = Sorter
    function Sorter:new() local self = setmetatable({}, Sorter) self.rows = {} return self end
    function Sorter:line() return debug.getinfo(1).currentline end
    local sorter = Sorter:new()
    local most
    function init(settings) most = tonumber(settings.most) + tonumber(settings.more) end
    function create(data, context)
      table.insert(sorter.rows, data)
      table.sort(sorter.rows, function(a, b) return a.when < b.when end)
      if #sorter.rows < most then return nil end
      local first = table.remove(sorter.rows, 1)
      return { key = first.key, Made = first.when, line = sorter:line(), nothing = first.t }
    end
    _espconfig_ = { inputVariables = { fields = { { name = 'when' }, { name = 'key' } } },
      initialization = { fields = { { name = 'most', default = '1' }, { name = 'more', default = '1' } } } }";

#[test]
fn a_custom_window_has_names_of_its_own_and_keeps_its_state() {
    let window = "<window-custom name='w' type='Sorter' version='1'>
        <schema-string>key*:int64,o:int64,line:int32,nothing:int64</schema-string><plugin code='@HOME@/sorter.lua'>
        <input-map><properties><property name='key' description='d'>id</property><property name='when'>t</property>
        </properties></input-map><output-map><properties><property name='Made'>o</property></properties></output-map>
        <initialization><properties><property name='most'>2</property></properties></initialization></plugin>
        </window-custom>";
    let made = run(project(window, &[("@HOME@/sorter.lua", SORTER)]), &["I 1 50 a", "I 2 30 b; I 3 40 c", "I 4 10 d"]);
    assert_eq!(made, ["I 2 30 4 .", "I 4 10 4 ."], "two of the last three have come by then: most is 2 + 1");
}

#[test]
fn fields_as_parameters_in_the_order_of_use_or_of_the_script() {
    let code = "function create(word, t, context) return { o = word .. 2 * t .. context.input } end";
    let window = "<window-lua name='w'><schema-string>id*:int64,o:string</schema-string><copy>id</copy>
        <use expand='true'>word,t</use><code file='x.lua'/></window-lua>";
    assert_eq!(run(project(window, &[("x.lua", code)]), &["I 1 5 a"]), ["I 1 a10s"]);
    let code = format!(
        "{code} _espconfig_ = {{ settings = {{ expand_parms = true }},
        inputVariables = {{ fields = {{ {{ name = 'text' }}, {{ name = 'number' }} }} }} }}"
    );
    let window = "<window-custom name='w'><schema-string>id*:int64,o:string</schema-string><plugin code='x.lua'>
        <input-map><properties><property name='number'>t</property><property name='text'>word</property></properties>
        </input-map></plugin></window-custom>";
    assert_eq!(run(project(window, &[("x.lua", &code)]), &["I 1 5 a"]), ["I 1 a10s"], "the key is copied");
}

fn vectors(of_documents: u8) -> String {
    format!(
        "<window-calculate name='w' algorithm='TextVectorization'><schema-string>id*:int64,word:string,v1:double,v2:double
        </schema-string><parameters><properties><property name='wordVec'>v.csv</property>
        <property name='wordVecDelimiter'>COMMA</property><property name='outputDocVec'>{of_documents}</property>
        </properties></parameters><input-map><properties><property name='docId'>t</property>
        <property name='token'>word</property></properties></input-map><output-map><properties>
        <property name='vectorOut'>v1,v2</property></properties></output-map></window-calculate>"
    )
}

#[test]
fn vectors_of_words_and_means_of_documents() {
    let file = ("v.csv", "a,1,2\nb,3,5,9\nc,6\n");
    let blocks = ["I 1 7 a; I 2 7 b; I 3 7 x", "I 4 7 c; I 5 8 x; I 6 8 c", "D 6 8 c"];
    let words = run(project(&vectors(0), &[file]), &blocks);
    assert_eq!(words, ["I 1 a 1 2; I 2 b 3 5; I 3 x . .", "I 4 c 6 .; I 5 x . .; I 6 c 6 ."]);
    let documents = run(project(&vectors(1), &[file]), &blocks);
    let (half, third) = ("3.5", 10.0 / 3.0);
    let expected =
        [format!("I 1 a 1 2; I 2 b 2 {half}; I 3 x 2 {half}"), format!("I 4 c {third} {half}; I 5 x . .; I 6 c 6 .")];
    assert_eq!(documents, expected);
}

#[test]
fn what_is_wrong_with_a_file_is_said_where_it_is_named() {
    let wrong = |window: &str, files: &[(&str, &str)]| {
        let files = files.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        let problems = parse_project(&carried(&xml(window), &files), "p.xml", &BTreeMap::new()).err().unwrap();
        problems.0.into_iter().map(|problem| problem.headline).collect::<Vec<_>>()
    };
    let lua = "<window-lua name='w'><schema-string>id*:int64</schema-string><code file='x.lua'/></window-lua>";
    assert_eq!(wrong(lua, &[]), ["file `x.lua` does not travel with the project"]);
    let said = wrong(lua, &[("x.lua", "\nlocal x =\nfunction create() end end")]);
    assert!(said[0].starts_with("`x.lua`, line 3: "), "{said:?}");
    assert_eq!(
        wrong(&vectors(0), &[("v.csv", "a,1\nb,one")]),
        ["`v.csv` cannot be read: line 2: expected numbers behind the word `b`, found `one`"]
    );
    let custom =
        "<window-custom name='w'><schema-string>id*:int64</schema-string><plugin code='x.py'/></window-custom>";
    assert!(wrong(custom, &[("x.py", "def create(): pass")])[0].contains("it is Python"));
}
