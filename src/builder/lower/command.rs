//! `RUN`: words, environment, mounts.

use super::{Here, Lowering};
use crate::builder::error::{BuildError, ErrorKind, invalid, unsupported};
use crate::builder::graph::{CacheShape, MountOp, Op, Place, RunOp};
use crate::builder::options::{Entitlement, NetworkMode};
use crate::builder::state::StageState;
use crate::parser::instruction::{Command, Mount, MountKind, Network, Run, Security, Sharing};
use crate::parser::{Instruction, Span, words};
use crate::paths::clean;

/// Host name of RUN steps unless a build argument says otherwise.
const HOSTNAME: &str = "buildkitsandbox";
/// Variables that reach RUN steps, and nothing else, without being declared.
const PROXIES: &[&str] = &["HTTP_PROXY", "HTTPS_PROXY", "FTP_PROXY", "NO_PROXY", "ALL_PROXY"];

/// The words of a RUN, and a script that is to be mounted.
struct Words {
    args: Vec<String>,
    script: Option<(String, String)>,
    suffix: String,
}

impl Lowering<'_> {
    pub(super) fn run(
        &mut self,
        run: &Run,
        instruction: &Instruction,
        state: &mut StageState,
        here: &mut Here,
    ) -> Result<(), BuildError> {
        if !run.devices.is_empty() {
            return Err(invalid(
                "device feature is only supported in Dockerfile frontend 1.14.0-labs or later",
            ));
        }
        let Words { args, script, suffix } = words(run, state);
        if args.is_empty() {
            return Err(invalid("RUN requires at least one argument"));
        }
        let mounts = self.mounts(run, state, here.span)?;
        let op = RunOp {
            args: args.clone(),
            env: self.environment(state),
            proxy_env: self.proxies(),
            cwd: state.workdir(),
            user: state.image.config.user.clone(),
            hostname: self.hostname(),
            network: self.network(run)?,
            insecure: self.insecure(run)?,
            platform: self.runnable_platform(state)?,
            mounts,
            script,
        };
        let masked: Vec<String> = op
            .mounts
            .iter()
            .filter_map(|mount| match mount {
                MountOp::Secret { env, .. } => env.clone(),
                _ => None,
            })
            .collect();
        let text = history_text(&args, state);
        let name = self.shown(instruction, state, here, &masked, &suffix);
        let vertex = self.vertex(name, instruction, Op::Run(Box::new(op)), state, here);
        state.layer(text, vertex);
        Ok(())
    }

    /// Returns what the process sees: the stage's variables, and the epoch where results must not depend on time.
    fn environment(&self, state: &StageState) -> Vec<(String, String)> {
        const NAME: &str = "SOURCE_DATE_EPOCH";
        let mut env = state.env.pairs().to_vec();
        // These two tell the builder what to look at, and processes nothing.
        env.retain(|(name, _)| {
            !matches!(name.as_str(), "BUILDKIT_SBOM_SCAN_CONTEXT" | "BUILDKIT_SBOM_SCAN_STAGE")
        });
        if self.options.reproducible && state.env.get(NAME).is_none() {
            env.push((NAME.to_owned(), self.epoch.unwrap_or(0).to_string()));
        }
        env
    }

    fn hostname(&self) -> String {
        let given = self.options.build_args.get("BUILDKIT_SANDBOX_HOSTNAME");
        given.filter(|name| !name.is_empty()).cloned().unwrap_or_else(|| HOSTNAME.to_owned())
    }

    fn network(&self, run: &Run) -> Result<NetworkMode, BuildError> {
        match run.network {
            None | Some(Network::Default) => Ok(self.options.network),
            Some(Network::None) => Ok(NetworkMode::None),
            Some(Network::Host) => {
                // Whoever builds with the host's network has allowed it.
                if self.options.network != NetworkMode::Host {
                    self.entitled(Entitlement::NetworkHost)?;
                }
                Ok(NetworkMode::Host)
            }
        }
    }

    fn insecure(&self, run: &Run) -> Result<bool, BuildError> {
        match run.security {
            None | Some(Security::Sandbox) => Ok(false),
            Some(Security::Insecure) => {
                self.entitled(Entitlement::SecurityInsecure)?;
                Ok(true)
            }
        }
    }

    fn entitled(&self, right: Entitlement) -> Result<(), BuildError> {
        match self.options.entitlements.contains(&right) {
            true => Ok(()),
            false => Err(ErrorKind::Entitlement(right).into()),
        }
    }

    /// Returns the platform of a stage's processes; Windows images can't run here.
    fn runnable_platform(&self, state: &StageState) -> Result<String, BuildError> {
        let platform = state.image.platform();
        if !platform.os.is_empty() && platform.os != self.stages.host.os {
            return Err(unsupported(format!("RUN for platform {platform} on {}", self.stages.host)));
        }
        Ok(platform.to_string())
    }

    /// Returns the proxy variables in both spellings.
    fn proxies(&self) -> Vec<(String, String)> {
        let given = &self.options.build_args;
        let mut proxies = Vec::new();
        for name in PROXIES {
            let lower = name.to_lowercase();
            let any = || given.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value);
            let Some(value) = given.get(&lower).or_else(|| given.get(*name)).or_else(any) else { continue };
            proxies.extend([(*name).to_owned(), lower].map(|spelling| (spelling, value.clone())));
        }
        proxies
    }

    fn mounts(&mut self, run: &Run, state: &StageState, span: Span) -> Result<Vec<MountOp>, BuildError> {
        let mut agents = 0;
        let mut expand = |word: &str| {
            let env = |name: &str| state.env.get(name).map(str::to_owned);
            words::expand(word, self.stages.escape, &env).map(|expanded| expanded.value)
        };
        let flags = run.mounts.iter().chain(&self.options.extras.mounts);
        let mounts: Vec<Mount> =
            flags.map(|flag| flag.resolve(span, &mut expand)).collect::<Result<_, _>>()?;
        mounts.iter().map(|mount| self.mount(mount, &state.workdir(), &mut agents)).collect()
    }

    fn mount(&mut self, mount: &Mount, workdir: &str, agents: &mut usize) -> Result<MountOp, BuildError> {
        let from = match &mount.from {
            None if mount.kind == MountKind::Bind => Place::Context,
            None => Place::Scratch,
            Some(from) => match self.stages.last_named(from) {
                Some(stage) => self.place_of(stage),
                None => self.outside(from)?,
            },
        };
        let texts = MountTexts::of(mount, workdir)?;
        let source = texts.source.clone().unwrap_or_else(|| "/".to_owned());
        let (uid, gid) = (mount.uid.unwrap_or(0), mount.gid.unwrap_or(0));
        Ok(match mount.kind {
            MountKind::Bind => {
                let writable = mount.read_only == Some(false);
                MountOp::Bind { from, source, target: texts.target_or(workdir)?, writable }
            }
            MountKind::Cache => MountOp::Cache {
                id: self.cache_id(&texts),
                target: texts.target_or(workdir)?,
                sharing: mount.sharing.unwrap_or(Sharing::Shared),
                from,
                shape: cache_shape(mount, &source),
                source: clean(&format!("/{source}")),
                read_only: mount.read_only == Some(true),
            },
            MountKind::Tmpfs => MountOp::Tmpfs { target: texts.target_or(workdir)?, size: mount.size },
            MountKind::Secret => {
                let id = texts.secret_id()?;
                let mode = mount.mode.unwrap_or(0o400);
                let target = match (&texts.target, &mount.env) {
                    (Some(target), _) => Some(target.clone()),
                    (None, Some(_)) => None,
                    (None, None) => Some(format!("/run/secrets/{id}")),
                };
                let (env, required) = (mount.env.clone(), mount.required);
                MountOp::Secret { id, target, env, mode, uid, gid, required }
            }
            MountKind::Ssh => {
                let number = std::mem::replace(agents, *agents + 1);
                let default = || format!("/run/buildkit/ssh_agent.{number}");
                MountOp::Ssh {
                    id: texts.id.clone().unwrap_or_else(|| "default".to_owned()),
                    target: texts.target.clone().unwrap_or_else(default),
                    mode: mount.mode.unwrap_or(0o600),
                    uid,
                    gid,
                    required: mount.required,
                }
            }
        })
    }

    fn cache_id(&self, texts: &MountTexts) -> String {
        let namespace = self.options.build_args.get("BUILDKIT_CACHE_MOUNT_NS");
        let typed = || clean(texts.typed_target.as_deref().unwrap_or_default());
        let id = texts.id.clone().unwrap_or_else(typed);
        format!("{}/{id}", namespace.map(String::as_str).unwrap_or_default())
    }
}

/// The texts of a mount.
struct MountTexts {
    source: Option<String>,
    /// As typed.
    typed_target: Option<String>,
    /// Absolute.
    target: Option<String>,
    id: Option<String>,
}

impl MountTexts {
    fn of(mount: &Mount, workdir: &str) -> Result<Self, BuildError> {
        let given = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
        let typed_target = given(&mount.target);
        let target = typed_target.as_ref().map(|target| match target.starts_with('/') {
            true => clean(target),
            false => clean(&format!("/{workdir}/{target}")),
        });
        not_the_root(target.as_deref())?;
        Ok(Self { source: given(&mount.source), typed_target, target, id: given(&mount.id) })
    }

    /// Returns the target; what names none is mounted over the working directory.
    fn target_or(&self, workdir: &str) -> Result<String, BuildError> {
        let target = self.target.clone().unwrap_or_else(|| clean(&format!("/{workdir}")));
        not_the_root(Some(&target))?;
        Ok(target)
    }

    /// A secret's id: `id`, else `source`, else the base name of the target.
    fn secret_id(&self) -> Result<String, BuildError> {
        let base = || {
            let target = self.typed_target.as_ref()?;
            target.trim_end_matches('/').rsplit('/').next().map(str::to_owned).filter(|name| !name.is_empty())
        };
        let id = self.id.clone().or_else(|| self.source.clone()).or_else(base);
        id.ok_or_else(|| invalid("one of source, target required"))
    }
}

fn not_the_root(target: Option<&str>) -> Result<(), BuildError> {
    match target {
        Some("/") => Err(invalid("invalid mount target \"/\"")),
        _ => Ok(()),
    }
}

/// Returns how a cache mount begins; a path below its root has the mode and owner that it has.
fn cache_shape(mount: &Mount, source: &str) -> Option<CacheShape> {
    let given = mount.mode.is_some() || mount.uid.is_some() || mount.gid.is_some();
    (given && clean(&format!("/{source}")) == "/").then(|| CacheShape {
        mode: mount.mode.unwrap_or(0o755),
        uid: mount.uid.unwrap_or(0),
        gid: mount.gid.unwrap_or(0),
    })
}

/// Returns what a RUN executes, as BuildKit composes it from shell, text and heredocs.
fn words(run: &Run, state: &StageState) -> Words {
    let text = match &run.command {
        Command::Exec(words) => {
            return Words { args: words.clone(), script: None, suffix: String::new() };
        }
        Command::Shell(text) => text,
    };
    let Some(heredoc) = run.script() else {
        let text = run
            .heredocs
            .iter()
            .fold(text.clone(), |text, heredoc| format!("{text}\n{}{}", heredoc.body, heredoc.name));
        return Words { args: state.with_shell(&text), script: None, suffix: String::new() };
    };
    let suffix = format!(" ({})", summary(&heredoc.body));
    // An interpreter's line counts where it begins its line, also below `<<-`.
    if heredoc.body.starts_with("#!") && state.image.os != "windows" {
        let path = format!("/dev/pipes/{}", heredoc.name);
        let script = Some((heredoc.name.clone(), heredoc.content().into_owned()));
        return Words { args: state.with_shell(&path), script, suffix };
    }
    Words { args: state.with_shell(&heredoc.content()), script: None, suffix }
}

/// Returns the first line of a heredoc, and whether there is more.
fn summary(body: &str) -> String {
    let mut lines = body.trim().lines();
    let first = lines.next().unwrap_or_default().to_owned();
    if lines.next().is_some() { first + "..." } else { first }
}

/// `RUN |N a=v b=w WORDS # buildkit`: the build arguments so far with their values of now.
fn history_text(args: &[String], state: &StageState) -> String {
    let mut text = "RUN ".to_owned();
    let arguments = state.arguments.pairs();
    if !arguments.is_empty() {
        text += &format!("|{} ", arguments.len());
        for (name, value) in arguments {
            text += &format!("{name}={} ", state.env.get(name).unwrap_or(value));
        }
    }
    text + &args.join(" ") + " # buildkit"
}
