//! Templates as people write them.

use serde_json::{Value, json};

use super::{Missing, Template};

fn data() -> Value {
    json!({
        "Name": "/web", "Id": "sha256:0123", "State": {"Running": true, "ExitCode": 7, "Health": null},
        "Config": {"Env": ["A=1", "B=2"], "Labels": {"b": "2", "a": "<1>"}, "Cmd": ["sh", "-c", "x y"]},
        "NetworkSettings": {"Ports": {"80/tcp": [{"HostIp": "0.0.0.0", "HostPort": "8080"}]},
                            "Networks": {"bridge": {"IPAddress": "172.17.0.2"}}},
        "Size": 1.5, "Big": 1e21, "Empty": [], "List": [1, 2, 3],
        "Actor": {"Attributes": {"name": "web"}},
    })
}

fn render(template: &str) -> Result<String, String> {
    let template = Template::parse(template).map_err(|e| e.to_string())?;
    template.render(&data(), Missing::Error).map_err(|e| e.to_string())
}

#[test]
fn templates_render() {
    for (template, expected) in [
        ("plain", "plain"),
        ("{{.Name}} {{ .State.Running }}", "/web true"),
        ("{{json .Config.Env}}", r#"["A=1","B=2"]"#),
        ("{{json .Config.Labels}}", r#"{"b":"2","a":"<1>"}"#),
        ("{{.Config.Env}} {{.Config.Labels}}", "[A=1 B=2] map[a:<1> b:2]"),
        ("{{.State.Health}}", "<nil>"),
        ("{{.Config.Labels.nope}}", "<no value>"),
        ("{{.Actor.Attributes.name}} {{.Actor.Attributes.exitCode}}", "web <no value>"),
        (
            "{{if .Config.Healthcheck}}yes{{else}}no{{end}} {{json .Config.Shell}} [{{.Config.StopSignal}}]",
            "no null []",
        ),
        (r#"{{index .Config.Labels "b"}}{{index .Config.Labels "nope"}}"#, "2"),
        (r#"{{(index (index .NetworkSettings.Ports "80/tcp") 0).HostPort}}"#, "8080"),
        ("{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}", "172.17.0.2"),
        ("{{range $i, $e := .Config.Env}}{{$i}}:{{$e}} {{end}}", "0:A=1 1:B=2 "),
        ("{{range $k, $v := .Config.Labels}}{{$k}}={{$v}};{{end}}", "a=<1>;b=2;"),
        ("{{range .Empty}}x{{else}}none{{end}}", "none"),
        ("{{range .List}}{{if eq . 2}}{{continue}}{{end}}{{if gt . 2}}{{break}}{{end}}{{.}}{{end}}", "1"),
        (r#"{{join .Config.Cmd " "}} {{join .Config.Labels ","}}"#, "sh -c x y 2,<1>"),
        (r#"{{split "a,b" ","}}"#, "[a b]"),
        ("{{upper .Name | lower | title}}", "/Web"),
        (r#"{{pad "x" 1 2}}|{{pad "" 1 2}}"#, " x  |"),
        (r#"{{truncate .Id 6}}"#, "sha256"),
        ("{{len .Config.Env}} {{slice .Id 7 9}} {{slice .List 1}}", "2 01 [2 3]"),
        (r#"{{if and .State.Running (eq .State.ExitCode 1 7)}}yes{{else}}no{{end}}"#, "yes"),
        (r#"{{if not .State.Running}}a{{else if eq .Name "/web"}}b{{else}}c{{end}}"#, "b"),
        ("{{with .State}}{{.ExitCode}}{{end}}{{with .Empty}}x{{else}}y{{end}}", "7y"),
        ("{{with $x := .State.ExitCode}}{{$x}}{{end}}", "7"),
        ("{{$x := 1}}{{if true}}{{$x = 2}}{{end}}{{$x}}", "2"),
        ("{{range .List}}{{$.Name}}{{end}}", "/web/web/web"),
        ("a {{- 1 -}} b {{/* note */}}c{{- /* trims */ -}} d", "a1b cd"),
        (
            r#"{{printf "%5d|%-5s|%05.1f|%q|%x|%v|%t|%%" 42 "ab" 1.25 "q\"" 255 .List true}}"#,
            "   42|ab   |001.2|\"q\\\"\"|ff|[1 2 3]|true|%",
        ),
        (r#"{{printf "%s" 1}} {{printf "%d"}}"#, "%!s(int=1) %!d(MISSING)"),
        (r#"{{print 1 2 "a" "b" 3}}{{println "x" 1}}"#, "1 2ab3x 1\n"),
        (
            r#"{{html "<a&'\">"}} {{urlquery "a b&c"}} {{js "it's"}}"#,
            "&lt;a&amp;&#39;&#34;&gt; a+b%26c it\\'s",
        ),
        ("{{define \"t\"}}[{{.}}]{{end}}{{template \"t\" .Name}}{{block \"u\" 1}}{{.}}{{end}}", "[/web]1"),
        ("{{or .Empty .Name}} {{and 0 .Nope}}", "/web 0"),
        (r#"{{.Name}}\t{{.Size}}\n"#, "/web\t1.5\n"),
        ("{{.Big}} {{1e3}} {{0x1f}} {{'a'}}", "1e+21 1000 31 97"),
        ("{{`raw \"x\"`}}", "raw \"x\""),
        ("{{eq .Name \"/web\" | not}}", "false"),
    ] {
        assert_eq!(render(template).as_deref(), Ok(expected), "{template}");
    }
}

#[test]
fn mistakes_are_named() {
    for (template, part) in [
        ("{{.state.Running}}", "map has no entry for key \"state\" (did you mean .State?)"),
        ("{{.Name.x}}", "can't evaluate field x in type string"),
        ("{{.State.Health.Status}}", "nil pointer evaluating"),
        ("{{.Name", "unclosed action"),
        ("{{if}}", "missing value for command"),
        ("{{if .Name}}x", "unexpected EOF"),
        ("{{end}}", "unexpected {{end}}"),
        ("{{nosuch .}}", "function \"nosuch\" not defined"),
        ("{{$x}}", "undefined variable \"$x\""),
        ("{{index .List 9}}", "index out of range"),
        ("{{eq 1 \"a\"}}", "incompatible types"),
        ("{{template \"none\"}}", "not defined"),
        ("{{break}}", "outside"),
        ("{{/* x", "unclosed comment"),
        ("{{\"x}}", "unterminated quoted string"),
        ("{{define \"r\"}}{{template \"r\"}}{{end}}{{template \"r\"}}", "maximum template depth"),
    ] {
        let error = render(template).expect_err(template);
        assert!(error.contains(part), "{template}: {error}");
    }
}

#[test]
fn hostile_templates_end() {
    assert!(render(&"{{if 1}}".repeat(100_000)).is_err());
    assert!(render(&format!("{{{{{}1", "(".repeat(100_000))).is_err());
    assert!(render("{{range 10000000}}{{range 100}}xxxxxxxxxx{{end}}{{end}}").is_err());
    // These print nothing, and would still run for years or take all memory.
    assert!(render("{{range 1000000000000}}{{range 1000000000000}}{{end}}{{end}}").is_err());
    let define = |n: u32| {
        format!("{{{{define \"t{n}\"}}}}{}{{{{end}}}}", format!("{{{{template \"t{}\"}}}}", n + 1).repeat(2))
    };
    let doubling: String = (0..60).map(define).collect();
    assert!(render(&format!("{doubling}{{{{define \"t60\"}}}}{{{{end}}}}{{{{template \"t0\"}}}}")).is_err());
    let tenfold = "{{$x = print $x $x $x $x $x $x $x $x $x $x}}".repeat(12);
    assert!(render(&format!("{{{{$x := \"0123456789\"}}}}{tenfold}")).is_err());
    assert_eq!(render(&format!("{{{{1{}}}}}", "|print".repeat(10_000))).as_deref(), Ok("1"));
    assert!(render(&format!("{{{{if 0}}}}a{}{{{{end}}}}", "{{else if 0}}b".repeat(50_000))).is_err());
}
