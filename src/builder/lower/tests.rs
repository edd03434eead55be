use std::sync::Arc;

use super::*;
use crate::builder::BuildOptions;
use crate::builder::context::MemoryTree;
use crate::builder::graph::{CopySourceOp, MountOp, Place};
use crate::builder::options::Input;
use crate::builder::source::ImageSourceError;
use crate::image::{DiffId, Digest, ImageConfig, ManifestDigest, Reference};
use crate::parser::parse;

/// Images by name: `busybox` with one layer, `triggers` with ONBUILD, anything else is missing.
struct Images;

impl ImageSource for Images {
    fn resolve(
        &self,
        reference: &Reference,
        _: Option<&Platform>,
        _: bool,
    ) -> Result<ResolvedImage, ImageSourceError> {
        let name = reference.familiar();
        let mut config = ImageConfig::scratch(&host());
        config.config.cmd = Some(vec!["sh".to_owned()]);
        match name.as_str() {
            "busybox:latest" => {}
            "triggers:latest" => {
                let triggers = ["RUN echo fired", "COPY --from=a /x /y", "WORKDIR /t"];
                config.config.on_build = triggers.map(str::to_owned).to_vec();
            }
            other => return Err(format!("{other}: not found").into()),
        }
        let id = config.id();
        Ok(ResolvedImage {
            name: reference.to_string(),
            manifest: ManifestDigest::of(name.as_bytes()),
            id,
            config,
            diff_ids: vec![DiffId::of_tar(Digest::of(name.as_bytes()))],
        })
    }
}

fn host() -> Platform {
    Platform::parse("linux/amd64").unwrap()
}

fn options(text: &str) -> BuildOptions {
    BuildOptions::new(Source::new("Dockerfile", text), Arc::new(MemoryTree::default()))
}

fn plan_of(options: &BuildOptions) -> Result<Plan, BuildError> {
    let source = Arc::new(options.source.clone());
    let dockerfile = parse(&source).expect("the test's Dockerfile parses");
    lower(&dockerfile, &source, options, &Images, &host())
}

fn plan(text: &str) -> Plan {
    plan_of(&options(text)).unwrap()
}

fn history(plan: &Plan) -> Vec<String> {
    let marked = |entry: &crate::image::History| match entry.empty_layer {
        true => entry.created_by.clone(),
        false => format!("* {}", entry.created_by),
    };
    plan.target.history.iter().filter(|planned| !planned.from_base).map(|p| marked(&p.entry)).collect()
}

#[test]
fn history_reads_as_dockers() {
    for (text, expected) in [
        ("RUN a  b", vec!["* RUN /bin/sh -c a  b # buildkit"]),
        ("RUN [\"a\", \"b c\"]", vec!["* RUN a b c # buildkit"]),
        ("ARG a=1\nARG b\nRUN x", vec!["ARG a=1", "ARG b", "* RUN |2 a=1 b= /bin/sh -c x # buildkit"]),
        (
            "ARG a=1 b=$a\nENV a=9\nARG a\nRUN x",
            vec!["ARG a=1 b=1", "ENV a=9", "ARG a", "* RUN |2 a=9 b=1 /bin/sh -c x # buildkit"],
        ),
        ("ENV a=1 b=\"2 3\"\nENV a=2 c=$a", vec!["ENV a=1 b=2 3", "ENV a=2 c=1"]),
        ("ENV k some value", vec!["ENV k=some value"]),
        ("LABEL \"a b\"='c $d'", vec!["LABEL a b=c $d"]),
        ("COPY --chown=1:2 --chmod=755 a b c/", vec!["* COPY --chown=1:2 --chmod=755 a b c/ # buildkit"]),
        ("COPY --from=busybox --link a /b", vec!["* COPY a /b # buildkit"]),
        ("COPY --parents a /b", vec!["* COPY --parents a /b # buildkit"]),
        ("COPY <<X <<Y /d/\nx\nX\ny\nY", vec!["* COPY <<X <<Y /d/ # buildkit"]),
        ("ADD https://h/x /d", vec!["* ADD https://h/x /d # buildkit"]),
        ("WORKDIR /a\nWORKDIR b/../c\nWORKDIR /", vec!["* WORKDIR /a", "* WORKDIR /a/c", "WORKDIR /"]),
        ("WORKDIR /a/../b", vec!["* WORKDIR /a/../b"]),
        (
            "CMD a b\nCMD [\"a\", \"b\\\"c\"]",
            vec!["CMD [\"/bin/sh\" \"-c\" \"a b\"]", "CMD [\"a\" \"b\\\"c\"]"],
        ),
        ("ENTRYPOINT []", vec!["ENTRYPOINT []"]),
        ("EXPOSE 90/udp 80 1-2", vec!["EXPOSE [1/tcp 2/tcp 80/tcp 90/udp]"]),
        ("ENV P='3 4/udp'\nEXPOSE $P", vec!["ENV P=3 4/udp", "EXPOSE [3/tcp 4/udp]"]),
        ("VOLUME /a /b", vec!["VOLUME [/a /b]"]),
        ("SHELL [\"a\", \"b\"]\nRUN x", vec!["SHELL [a b]", "* RUN a b x # buildkit"]),
        (
            "HEALTHCHECK --interval=1s --timeout=1m30s --retries=5 CMD a b",
            vec![
                "HEALTHCHECK {Test:[CMD-SHELL a b] Interval:1s Timeout:1m30s StartPeriod:0s StartInterval:0s Retries:5}",
            ],
        ),
        (
            "USER a:b\nSTOPSIGNAL sigint\nMAINTAINER me",
            vec!["USER a:b", "STOPSIGNAL sigint", "MAINTAINER me"],
        ),
        ("ONBUILD RUN x", vec![]),
        ("RUN <<EOF\na\nb\nEOF", vec!["* RUN /bin/sh -c a\nb\n # buildkit"]),
        ("RUN <<EOF\n#!/x\nEOF", vec!["* RUN /bin/sh -c /dev/pipes/EOF # buildkit"]),
        ("RUN cat <<A <<B\na\nA\nb\nB", vec!["* RUN /bin/sh -c cat <<A <<B\na\nA\nb\nB # buildkit"]),
    ] {
        assert_eq!(history(&plan(&format!("FROM busybox\n{text}\n"))), expected, "{text}");
    }
}

#[test]
fn arguments_have_their_scopes() {
    let given = |text: &str, args: &[(&str, &str)]| {
        let mut options = options(text);
        options.build_args = args.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        let plan = plan_of(&options).unwrap();
        plan.target
            .env
            .iter()
            .filter(|(k, _)| *k != "PATH")
            .map(|(k, v)| format!("{k}={v}"))
            .collect::<Vec<_>>()
    };
    for (text, args, expected) in [
        ("ARG g=1\nFROM busybox\nRUN x", vec![], vec![]),
        ("ARG g=1\nFROM busybox\nARG g", vec![], vec!["g=1"]),
        ("ARG g=1\nFROM busybox\nARG g=2", vec![], vec!["g=2"]),
        ("ARG g=1\nFROM busybox\nARG g=2", vec![("g", "3")], vec!["g=3"]),
        ("FROM busybox\nARG g\nARG e=", vec![], vec!["e="]),
        ("FROM busybox\nARG g=${n:?no}", vec![("g", "3")], vec!["g=3"]),
        (
            "FROM busybox\nARG TARGETARCH\nARG TARGETSTAGE",
            vec![],
            vec!["TARGETARCH=amd64", "TARGETSTAGE=default"],
        ),
        ("FROM busybox AS a\nARG x=1\nENV y=2\nARG y=3\nFROM a", vec![], vec!["x=1", "y=2"]),
        ("FROM busybox AS a\nENV x=1\nFROM busybox", vec![], vec![]),
        ("FROM scratch\nARG HTTP_PROXY", vec![("HTTP_PROXY", "p")], vec!["HTTP_PROXY=p"]),
    ] {
        assert_eq!(given(text, &args), expected, "{text}");
    }
    let error = plan_of(&options("FROM busybox\nARG g=${n:?no}")).unwrap_err();
    assert_eq!(error.place.map(|place| place.span.first), Some(2));
}

#[test]
fn proxies_reach_processes_alone() {
    let mut options = options("FROM busybox\nENV no_proxy=mine\nRUN x");
    for (name, value) in [("HTTP_PROXY", "a"), ("http_proxy", "b"), ("NO_PROXY", "c")] {
        options.build_args.insert(name.to_owned(), value.to_owned());
    }
    let plan = plan_of(&options).unwrap();
    let Op::Run(run) = &plan.graph.vertices.last().unwrap().op else { panic!("the last step is RUN") };
    let proxies: Vec<_> = run.proxy_env.iter().map(|(k, v)| format!("{k}={v}")).collect();
    assert_eq!(proxies, ["HTTP_PROXY=b", "http_proxy=b", "NO_PROXY=c", "no_proxy=c"]);
    assert!(run.env.iter().all(|(name, _)| !name.eq_ignore_ascii_case("http_proxy")));
    assert_eq!(history(&plan)[1], "* RUN /bin/sh -c x # buildkit");
}

#[test]
fn steps_are_named_and_counted() {
    let names = |text: &str| -> Vec<String> {
        plan(text).graph.vertices.iter().map(|vertex| vertex.name.clone()).collect()
    };
    assert_eq!(
        names("FROM busybox\nENV a=1\nrun echo $a '$a' $b\nWORKDIR /\nCOPY x /"),
        ["[1/4] FROM docker.io/library/busybox:latest", "[2/4] RUN echo 1 '$a' $b", "[3/4] COPY x /",]
    );
    assert_eq!(
        names("FROM scratch AS one\nCOPY x /\nFROM busybox\nCOPY --from=one /x /"),
        [
            "[one 1/1] COPY x /",
            "[stage-1 1/2] FROM docker.io/library/busybox:latest",
            "[stage-1 2/2] COPY --from=one /x /",
        ]
    );
    assert_eq!(
        names("FROM scratch AS a\nCOPY x /\nFROM triggers\nRUN <<EOF\nfirst\nsecond\nEOF")[2..],
        [
            "[stage-1 2/5] ONBUILD RUN echo fired",
            "[stage-1 3/5] ONBUILD COPY --from=a /x /y",
            "[stage-1 4/5] ONBUILD WORKDIR /t",
            "[stage-1 5/5] RUN <<EOF (first...)",
        ]
    );
    assert_eq!(
        names("FROM busybox\nENV S=x\nRUN --mount=type=secret,id=s,env=S echo $S")[1],
        "[2/2] RUN --mount=type=secret,id=s,env=S echo ****"
    );
}

#[test]
fn only_what_the_target_needs_is_lowered() {
    let text = "FROM missing AS unused\nRUN x\nFROM busybox AS base\nRUN a\nFROM base AS mid\nRUN b\nFROM busybox AS tail\nCOPY --from=1 /x /";
    let plan = plan(text);
    let texts: Vec<_> = plan.graph.vertices.iter().map(|vertex| vertex.text.as_str()).collect();
    assert_eq!(texts, ["FROM busybox", "RUN a", "COPY --from=1 /x /"]);
    let mut options = options(text);
    options.target = Some("MID".to_owned());
    let plan = plan_of(&options).unwrap();
    assert_eq!(plan.graph.vertices.len(), 3);
    assert!(plan.to_string().ends_with("2 <- [1] [mid 1/1] RUN b\n"), "{plan}");
}

#[test]
fn config_is_inherited_as_docker_does() {
    let config = |text: &str| plan(text).target.image.config;
    let path = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
    assert_eq!(config("FROM scratch").env, [path]);
    assert_eq!(config("FROM scratch").working_dir, "/");
    assert_eq!(config("FROM busybox").cmd, Some(vec!["sh".to_owned()]));
    assert_eq!(config("FROM busybox\nENTRYPOINT [\"e\"]").cmd, None);
    assert_eq!(config("FROM busybox\nCMD [\"c\"]\nENTRYPOINT [\"e\"]").cmd, Some(vec!["c".to_owned()]));
    assert_eq!(config("FROM busybox AS a\nCMD [\"c\"]\nFROM a\nENTRYPOINT [\"e\"]").cmd, None);
    assert_eq!(config("FROM busybox\nONBUILD RUN x").on_build, ["RUN x"]);
    assert_eq!(config("FROM scratch AS a\nONBUILD LABEL t=1\nFROM a\nONBUILD RUN y").on_build, ["RUN y"]);
    assert_eq!(config("FROM scratch AS a\nONBUILD LABEL t=1\nFROM a").labels["t"], "1");
    assert_eq!(config("FROM scratch AS a\nONBUILD LABEL t=1\nFROM a AS b\nFROM b").labels.len(), 1);
    assert!(config("FROM scratch\nCMD x").args_escaped);
}

#[test]
fn errors_have_dockers_text_and_their_line() {
    let mut grown = options("FROM scratch AS build\nFROM scratch AS tset");
    grown.target = Some("test".to_owned());
    let error = plan_of(&grown).unwrap_err();
    assert_eq!(error.to_string(), "target stage \"test\" could not be found (did you mean tset?)");
    for (text, line, expected) in [
        ("FROM $X", 1, "base name ($X) should not be blank"),
        ("FROM --platform=$X busybox", 1, "empty platform value from expression $X"),
        ("FROM nosuch/image:1", 1, "failed to resolve source metadata for docker.io/nosuch/image:1"),
        (
            "FROM Bad",
            1,
            "failed to parse stage name \"Bad\": invalid reference format: repository name (library/Bad) must be lowercase",
        ),
        ("FROM scratch\nCOPY --from=7 a b", 2, "invalid stage index 7"),
        (
            "FROM scratch AS a\nCOPY --from=b x /\nFROM scratch AS b\nFROM a",
            2,
            "cannot copy from stage \"b\", it needs to be defined before current stage \"a\"",
        ),
        ("FROM scratch AS a\nCOPY --from=a x /", 2, "circular dependency detected on stage: a"),
        ("FROM scratch AS a\nCOPY --from=b x /\nFROM a AS b", 2, "circular dependency detected on stage: a"),
        (
            "FROM scratch AS a\nRUN --mount=from=b,target=/m x\nFROM scratch AS b\nFROM a",
            2,
            "cannot mount from stage \"b\" to \"/m\", stage needs to be defined before current command",
        ),
        ("FROM scratch\nCOPY https://x/y /", 2, "source can't be a URL for COPY"),
        ("FROM scratch\nCOPY https://github.com/a/b.git /", 2, "source can't be a git ref for COPY"),
        ("FROM scratch\nADD --checksum=sha256:00 a /", 2, "checksum requires HTTP(S) or Git sources"),
        (
            "FROM scratch\nADD --checksum=sha256:00 a b /",
            2,
            "checksum can't be specified for multiple sources",
        ),
        (
            "FROM scratch\nCOPY --chmod=x a /",
            2,
            "invalid chmod parameter: 'x'. it should be octal string and between 0 and 07777",
        ),
        ("FROM busybox\nRUN --security=insecure x", 2, "entitlement security.insecure is not allowed"),
        ("FROM busybox\nRUN --network=host x", 2, "entitlement network.host is not allowed"),
        ("FROM scratch\nSTOPSIGNAL nope", 2, "invalid signal: nope"),
        ("FROM scratch\nEXPOSE x", 2, "invalid containerPort: x"),
        ("FROM triggers AS a", 1, "circular dependency detected on stage: a"),
        ("ARG SOURCE_DATE_EPOCH=never\nFROM scratch", 0, "invalid SOURCE_DATE_EPOCH: never"),
    ] {
        let error = plan_of(&options(text)).expect_err(text);
        assert!(error.to_string().starts_with(expected), "{text}: {error}");
        assert_eq!(error.place.map_or(0, |place| place.span.first), line, "{text}");
    }
}

#[test]
fn mounts_have_their_defaults() {
    let text = "FROM scratch AS a\nCOPY x /\nFROM busybox\nWORKDIR /w\nENV v=/e\nRUN --mount=target=b --mount=type=cache,target=$v \
                --mount=type=secret,target=/run/tok --mount=type=secret,id=i,env=E --mount=type=ssh --mount=type=tmpfs,target=/t,size=1k \
                --mount=from=a,source=/s,target=/m,rw x";
    let plan = plan(text);
    let Op::Run(run) = &plan.graph.vertices.last().unwrap().op else { panic!("the last step is RUN") };
    let secret = |id: &str, target: Option<&str>, env: Option<&str>| MountOp::Secret {
        id: id.to_owned(),
        target: target.map(str::to_owned),
        env: env.map(str::to_owned),
        mode: 0o400,
        uid: 0,
        gid: 0,
        required: false,
    };
    let bind = |from, source: &str, target: &str, writable| MountOp::Bind {
        from,
        source: source.to_owned(),
        target: target.to_owned(),
        writable,
    };
    assert_eq!(run.mounts[0], bind(Place::Context, "/", "/w/b", false));
    assert!(
        matches!(&run.mounts[1], MountOp::Cache { id, target, shape: None, from: Place::Scratch, .. } if id == "//e" && target == "/e")
    );
    assert_eq!(run.mounts[2], secret("tok", Some("/run/tok"), None));
    assert_eq!(run.mounts[3], secret("i", None, Some("E")));
    assert!(
        matches!(&run.mounts[4], MountOp::Ssh { id, target, .. } if id == "default" && target == "/run/buildkit/ssh_agent.0")
    );
    assert_eq!(run.mounts[5], MountOp::Tmpfs { target: "/t".to_owned(), size: Some(1024) });
    assert_eq!(run.mounts[6], bind(Place::Vertex(0), "/s", "/m", true));
}

#[test]
fn named_contexts_replace_images_and_whole_stages() {
    let text = "FROM missing AS a\nRUN gone\nFROM other\nCOPY --from=a /x /\nCOPY --from=files /y /";
    let mut options = options(text);
    let tree = || Input::Tree(Arc::new(MemoryTree::default()));
    options.named_contexts.insert("a".to_owned(), tree());
    options.named_contexts.insert("files".to_owned(), tree());
    options
        .named_contexts
        .insert("docker.io/library/other::linux/amd64".to_owned(), Input::Image("busybox".to_owned()));
    let plan = plan_of(&options).unwrap();
    let names: Vec<_> = plan.graph.vertices.iter().map(|vertex| vertex.text.as_str()).collect();
    assert_eq!(names, ["FROM a", "FROM busybox", "COPY --from=a /x /", "COPY --from=files /y /"]);
    let Op::Copy(copy) = &plan.graph.vertices[3].op else { panic!("a copy") };
    assert!(
        matches!(&copy.sources[0], CopySourceOp::Path { place: Place::Named(name), .. } if name == "files")
    );
}

#[test]
fn a_long_chain_of_stages_costs_no_stack() {
    let mut text = "FROM busybox AS s0\n".to_owned();
    for n in 1..1000 {
        text += &format!("FROM s{} AS s{n}\nENV x{n}=1\n", n - 1);
    }
    assert_eq!(plan(&text).target.history.len(), 1000);
}
