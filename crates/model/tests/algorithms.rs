//! What is said about mistakes around algorithms; `UPDATE_EXPECT=1` rewrites.

use std::collections::BTreeMap;

use expect_test::expect;
use mesh_model::parse_project;

/// Errors and warnings of a window `w` behind a source.
fn problems(window: &str) -> String {
    problems_of(window, "")
}

/// The same with further windows and edges.
fn problems_of(windows: &str, edges: &str) -> String {
    let xml = format!(
        "<project name='p'><contqueries><contquery name='q'><windows><window-source name='src' index='pi_EMPTY'>\
         <schema-string>id*:int64,temp:double,name:string,at:stamp</schema-string></window-source>\n{windows}\n</windows>\
         <edges><edge source='src' target='w'/>{edges}</edges></contquery></contqueries></project>"
    );
    match parse_project(&xml, "p.xml", &BTreeMap::new()) {
        Ok(checked) => checked.warnings.to_string(),
        Err(problems) => problems.to_string(),
    }
}

#[test]
fn mistakes_in_calculate_windows() {
    let window_of = |algorithm: &str, parameter: &str, input: &str, output: &str| {
        format!(
            "<window-calculate name='w' algorithm='{algorithm}'><schema-string>id*:int64,a:double,b:string</schema-string>\n\
             <parameters><properties>{parameter}</properties></parameters>\n\
             <input-map><properties>{input}</properties></input-map>\n\
             <output-map><properties>{output}</properties></output-map></window-calculate>"
        )
    };
    let (x, y) = ("<property name='x'>temp</property>", "<property name='y'>id</property>");
    let both = format!("{x}{y}");
    let out = "<property name='corOut'>a</property>";
    let wrong = [
        window_of("Corelation", "", &both, out),
        window_of("TSNE", "", &both, out),
        window_of("KMEANS", "", &both, out),
        window_of("Correlation", "<property name='windowLenght'>4</property>", &both, out),
        window_of("Correlation", "<property name='windowLength'>-4</property>", &both, out),
        window_of("Correlation", "", x, out),
        window_of("Correlation", "", "<property name='x'>name</property><property name='z'>id</property>", out),
        window_of("Correlation", "", &both, "<property name='corOut'>b</property><property name='cor'>a</property>"),
        window_of(
            "STFT",
            "<property name='windowLength'>8</property><property name='overlap'>8</property>\
             <property name='windowType'>8</property>",
            "<property name='input'>temp</property>",
            "<property name='timeIdOut'>id</property><property name='powerOut'>p[1-x]</property>",
        ),
        window_of(
            "STFT",
            "<property name='windowLength'>8</property><property name='overlap'>8</property>",
            "<property name='input'>temp</property>",
            "<property name='timeIdOut'>id</property><property name='powerOut'>p[1-x]</property>",
        ),
    ];
    let told = |line: &&str| ["error", "warning", "= help"].iter().any(|start| line.trim_start().starts_with(start));
    let report = |xml: &String| -> String {
        let text = problems(xml);
        text.lines().filter(told).collect::<Vec<_>>().join("\n")
    };
    expect![[r#"
        error[unknown-algorithm]: there is no algorithm `Corelation`
          = help: did you mean `Correlation`? known: Correlation, MRR, FitStat, STFT, Cepstrum, SegmentedCorrelation, LagMonitor, Histogram, DistributionFitting, ChangeDetection, ROC, Tokenization, TFIDF, TextVectorization, SST, Summary

        error[not-supported]: not supported yet: algorithm `TSNE`, because its figures depend on unpublished details of the original
          = help: project outside and publish the result

        error[not-supported]: not supported yet: algorithm `KMEANS`, because models are trained and used by windows of their own
          = help: use window-train and window-score

        warning[empty-field]: nothing fills field `b`, it will always be null
          = help: compute it, or name it like the input field it copies; known: id, temp, name, at
        error[unknown-parameter]: Correlation has no parameter `windowLenght`
          = help: did you mean `windowLength`? known: windowLength

        warning[empty-field]: nothing fills field `b`, it will always be null
          = help: compute it, or name it like the input field it copies; known: id, temp, name, at
        error[bad-value]: `windowLength` is `-4`, expected a whole number from 0 to 1000000

        error[missing-property]: `input-map` has no property `y`
          = help: add <property name="y">field</property>

        error[field-type]: `x` cannot be field `name` of type string
          = help: name a field of type int32, int64, double or money
        error[unknown-role]: Correlation has no input `z`
          = help: did you mean `x`? known: x, y

        error[field-type]: `corOut` cannot be put into field `b`, which has type string
          = help: use a non-key field of type double, int64, int32 or money
        error[unknown-result]: Correlation has no output `cor`
          = help: known: corOut

        error[bad-value]: `windowType` is `8`, expected one of 1, 2, 3, 4, 5, 6, 7, 10, 11, 12, 13, 14, 15, 16
        error[missing-role]: `timeIdOut` needs the input `timeId`, which is not mapped
          = help: add <property name="timeId">field</property> to <input-map>
        error[bad-value]: a list of fields is `p[1-x]`, expected `name[1-20]`

        error[bad-value]: `overlap` is `8`, expected a number below `windowLength`, which is 8
        error[missing-role]: `timeIdOut` needs the input `timeId`, which is not mapped
          = help: add <property name="timeId">field</property> to <input-map>
        error[bad-value]: a list of fields is `p[1-x]`, expected `name[1-20]`"#]].assert_eq(&wrong.iter().map(report).collect::<Vec<_>>().join("\n\n"));
}

#[test]
fn mistakes_between_train_and_score() {
    let train = |algorithm: &str, inputs: &str, more: &str| {
        format!(
            "<window-train name='w' algorithm='{algorithm}'>{more}<input-map><properties><property name='inputs'>{inputs}\
             </property></properties></input-map></window-train>"
        )
    };
    let score = |models: &str| {
        format!("<window-score name='s'><schema-string>id*:int64,label:int64</schema-string>{models}</window-score>")
    };
    let online = |algorithm: &str| {
        format!(
            "<models><online algorithm='{algorithm}'><input-map><properties><property name='inputs'>temp</property></properties>\
             </input-map><output-map><properties><property name='labelOut'>label</property></properties></output-map></online>\
             </models>"
        )
    };
    let both = format!("{}{}", train("KMEANS", "temp", ""), score(&online("KMEANS")));
    let cases = [
        (both.clone(), "<edge source='src' target='s'/><edge source='w' target='s'/>"),
        (both, "<edge source='src' target='s'/>"),
        (
            format!("{}{}", train("KMEANS", "temp,id", ""), score(&online("KMEANS"))),
            "<edge source='src' target='s'/><edge source='w' target='s' role='model'/>",
        ),
        (
            format!("{}{}", train("DBSCAN", "temp", ""), score(&online("KMEANS"))),
            "<edge source='src' target='s'/><edge source='w' target='s' role='model'/>",
        ),
        (
            format!("{}{}", train("KMENS", "temp", ""), score("<models><offline model-type='astore'/></models>")),
            "<edge source='src' target='s'/><edge source='w' target='s' role='model'/>",
        ),
        (
            format!(
                "{}{}",
                train("LinearRegression", "temp", "<schema-string>id*:int64</schema-string>"),
                score("<models/>")
            ),
            "<edge source='src' target='s'/><edge source='src' target='s' role='model'/>",
        ),
    ];
    let told = |line: &&str| ["error", "warning"].iter().any(|start| line.trim_start().starts_with(start));
    let report = |(windows, edges): &(String, &str)| -> String {
        problems_of(windows, edges).lines().filter(told).collect::<Vec<_>>().join("\n")
    };
    expect![[r#"


        error[no-model-edge]: no edge brings models to score window `s`

        error[other-model]: window `w` learns from 2 inputs, score window `s` has 1 of them

        error[other-model]: window `w` trains another algorithm than score window `s` uses

        error[unknown-algorithm]: no algorithm `KMENS` learns
        error[not-supported]: not supported yet: an offline model, because its model is a file in a format of the original engine

        warning[train-schema]: a train window has the schema of models, this one is ignored
        error[missing-property]: `input-map` has no property `response`
        error[no-model]: the score window has no model
        error[other-model]: window `src` has no models for score window `s`"#]].assert_eq(&cases.iter().map(report).collect::<Vec<_>>().join("\n\n"));
}
