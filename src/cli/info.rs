//! `version`, `info`

use clap::Args;
use serde_json::{Value, json};

use super::error::CliError;
use super::format::{Missing, Template};
use super::global::Global;
use super::{human, output};
use crate::fs::Root;
use crate::run::rootless::Mapping;
use crate::store::LayerForm;

/// Show version information
#[derive(Debug, Args)]
pub struct VersionArgs {
    /// Format output: json, or a template
    #[arg(short, long, value_name = "STRING")]
    format: Option<String>,
}

/// Display system-wide information
#[derive(Debug, Args)]
pub struct InfoArgs {
    /// Format output: json, or a template
    #[arg(short, long, value_name = "STRING")]
    format: Option<String>,
}

/// The drivers of networks.
const NETWORKS: &[&str] = &["bridge", "host", "null"];
/// The drivers of logs.
const LOGS: &[&str] = &["journald", "json-file", "local", "none", "syslog"];
/// The engine API version whose shapes the commands follow.
const API: &str = "1.51";

/// The answer to `--version`; under docker's name in the form that scripts take apart.
pub fn version_line(program: &str) -> String {
    let name = if program == "docker" { "Docker" } else { "Skiff" };
    format!("{name} version {}, build skiff", env!("CARGO_PKG_VERSION"))
}

/// Runs `version`.
pub fn version(args: &VersionArgs, _global: &Global) -> Result<(), CliError> {
    let arch = crate::image::Platform::host().architecture;
    let both = json!({
        "Version": env!("CARGO_PKG_VERSION"), "ApiVersion": API, "Os": "linux", "Arch": arch, "Context": "default",
        "GoVersion": "none (Rust)", "GitCommit": "", "BuildTime": "",
        "Platform": {"Name": "Skiff"}, "KernelVersion": kernel(), "MinAPIVersion": "1.24", "Experimental": false,
    });
    let data = json!({ "Client": both, "Server": both });
    if let Some(text) = formatted(args.format.as_deref(), &data)? {
        return output::line(&text);
    }
    output::data(&format!("{} Context:           default\n\n{}", side("Client"), side("Server")))
}

/// Prints the client's part of `version` or `info` where there is no engine to ask for the other one.
///
/// # Errors
/// Standard output can't be written.
pub fn client_alone(version: bool, debug: bool) -> Result<(), CliError> {
    let number = env!("CARGO_PKG_VERSION");
    output::data(&match version {
        true => format!("{} Context:           default\n", side("Client")),
        false => format!(
            "Client: Skiff\n Version:    {number}\n Context:    default\n Debug Mode: {debug}\n\nServer:\n"
        ),
    })
}

fn side(title: &str) -> String {
    let (version, arch) = (env!("CARGO_PKG_VERSION"), crate::image::Platform::host().architecture);
    format!(
        "{title}: Skiff\n Version:           {version}\n API version:       {API}\n OS/Arch:           linux/{arch}\n"
    )
}

/// What `info` tells.
struct Facts {
    /// All, running, paused, stopped.
    containers: [usize; 4],
    images: usize,
    driver: &'static str,
    /// The indented lines below the driver.
    status: Vec<[String; 2]>,
    security: Vec<String>,
    mirrors: Vec<String>,
    insecure: Vec<String>,
    /// The driver of logs of a container that was given none.
    logging: String,
    root: String,
    debug: bool,
}

impl Facts {
    fn new(global: &Global) -> Result<Self, CliError> {
        let store = global.store()?;
        let (form, why) = store.form()?;
        let support = store.support()?;
        let yes_or_why = |result: &Result<(), String>| match result {
            Ok(()) => "yes".to_owned(),
            Err(why) => format!("no ({why})"),
        };
        let containers = super::containers::list(global)?;
        let paused =
            containers.iter().filter(|c| c.state.status == crate::containers::Status::Paused).count();
        let running = containers.iter().filter(|container| container.is_running()).count() - paused;
        let all = containers.len();
        let mut security = vec!["name=seccomp,profile=builtin".to_owned(), "name=cgroupns".to_owned()];
        if global.rootless {
            security.push("name=rootless".to_owned());
            if let Some(Mapping::Single { reason }) = &global.mapping {
                output::talk(&format!("WARNING: only one user id is mapped: {reason}"));
            }
        }
        let (mirrors, insecure) = super::config_file::shown()?;
        Ok(Self {
            containers: [all, running, paused, all - running - paused],
            images: store.images()?.len(),
            driver: driver(form),
            status: vec![
                ["Backing Filesystem".to_owned(), file_system(store.path())],
                ["Supports d_type".to_owned(), "true".to_owned()],
                ["Native Overlay Diff".to_owned(), "true".to_owned()],
                ["Layer Form".to_owned(), why],
                ["EROFS".to_owned(), yes_or_why(&support.erofs)],
                ["Overlay".to_owned(), yes_or_why(&support.overlay)],
            ],
            security,
            mirrors,
            insecure,
            logging: super::config_file::log()?.driver,
            root: store.path().display().to_string(),
            debug: global.args.debug,
        })
    }

    fn document(&self) -> Value {
        let [all, running, paused, stopped] = self.containers;
        json!({
            "Containers": all, "ContainersRunning": running, "ContainersPaused": paused,
            "ContainersStopped": stopped, "Images": self.images, "Driver": self.driver,
            "DriverStatus": self.status,
            "Plugins": { "Volume": ["local"], "Network": NETWORKS, "Authorization": null, "Log": LOGS },
            "Debug": self.debug, "LoggingDriver": self.logging, "CgroupDriver": "cgroupfs",
            "CgroupVersion": cgroup_version(), "KernelVersion": kernel(), "OperatingSystem": operating_system(),
            "OSType": "linux", "Architecture": std::env::consts::ARCH,
            "IndexServerAddress": "https://index.docker.io/v1/",
            "RegistryConfig": { "InsecureRegistryCIDRs": self.insecure, "Mirrors": self.mirrors },
            "NCPU": cpus(), "MemTotal": total_memory(), "DockerRootDir": self.root, "Name": name(),
            "Labels": [], "ExperimentalBuild": false, "ServerVersion": env!("CARGO_PKG_VERSION"),
            "Swarm": { "LocalNodeState": "inactive" }, "LiveRestoreEnabled": true,
            "SecurityOptions": self.security, "Warnings": null,
            "ClientInfo": {
                "Debug": self.debug, "Context": "default", "Version": env!("CARGO_PKG_VERSION"),
                "Plugins": [], "Warnings": null,
            },
        })
    }

    fn text(&self) -> String {
        let version = env!("CARGO_PKG_VERSION");
        let [all, running, paused, stopped] = self.containers;
        let mut lines = vec![
            "Client: Skiff".to_owned(),
            format!(" Version:    {version}"),
            " Context:    default".to_owned(),
            format!(" Debug Mode: {}\n", self.debug),
            "Server:".to_owned(),
            format!(" Containers: {all}"),
            format!("  Running: {running}"),
            format!("  Paused: {paused}"),
            format!("  Stopped: {stopped}"),
            format!(" Images: {}", self.images),
            format!(" Server Version: {version}"),
            format!(" Storage Driver: {}", self.driver),
        ];
        lines.extend(self.status.iter().map(|[key, value]| format!("  {key}: {value}")));
        lines.extend([
            format!(" Logging Driver: {}", self.logging),
            " Cgroup Driver: cgroupfs".to_owned(),
            format!(" Cgroup Version: {}", cgroup_version()),
            " Plugins:".to_owned(),
            "  Volume: local".to_owned(),
            format!("  Network: {}", NETWORKS.join(" ")),
            format!("  Log: {}", LOGS.join(" ")),
            " Swarm: inactive".to_owned(),
            " Security Options:".to_owned(),
        ]);
        let shown = |text: &String| text.trim_start_matches("name=").replace(",profile=", "\n   Profile: ");
        lines.extend(self.security.iter().map(|option| format!("  {}", shown(option))));
        lines.extend([
            format!(" Kernel Version: {}", kernel()),
            format!(" Operating System: {}", operating_system()),
            " OSType: linux".to_owned(),
            format!(" Architecture: {}", std::env::consts::ARCH),
            format!(" CPUs: {}", cpus()),
            format!(" Total Memory: {}", human::memory(total_memory())),
            format!(" Name: {}", name()),
            format!(" Docker Root Dir: {}", self.root),
            format!(" Debug Mode: {}", self.debug),
            " Experimental: false".to_owned(),
            " Insecure Registries:".to_owned(),
        ]);
        lines.extend(self.insecure.iter().map(|entry| format!("  {entry}")));
        if !self.mirrors.is_empty() {
            lines.push(" Registry Mirrors:".to_owned());
            lines.extend(self.mirrors.iter().map(|mirror| format!("  {}/", mirror.trim_end_matches('/'))));
        }
        lines.push(" Live Restore Enabled: true\n".to_owned());
        lines.join("\n")
    }
}

/// Runs `info`.
pub fn info(args: &InfoArgs, global: &Global) -> Result<(), CliError> {
    let facts = Facts::new(global)?;
    match formatted(args.format.as_deref(), &facts.document())? {
        Some(text) => output::line(&text),
        None => output::data(&facts.text()),
    }
}

fn cpus() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

fn name() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

/// Returns what docker calls the file system of a directory.
fn file_system(path: &std::path::Path) -> String {
    let kind = rustix::fs::statfs(path).map_or(0, |stat| stat.f_type as u32);
    match kind {
        0xef53 => "extfs".to_owned(),
        0x5846_5342 => "xfs".to_owned(),
        0x9123_683e => "btrfs".to_owned(),
        0x0102_1994 => "tmpfs".to_owned(),
        0x794c_7630 => "overlayfs".to_owned(),
        0x2fc1_2fc1 => "zfs".to_owned(),
        0xf2f5_2010 => "f2fs".to_owned(),
        other => format!("<unknown> ({other:#x})"),
    }
}

fn driver(form: LayerForm) -> &'static str {
    match form {
        LayerForm::Index => "overlay on erofs",
        LayerForm::Directory => "overlay",
    }
}

fn formatted(format: Option<&str>, data: &Value) -> Result<Option<String>, CliError> {
    match format.map(str::trim) {
        None | Some("") => Ok(None),
        Some("json") => Ok(Some(data.to_string())),
        Some(text) => {
            let failed =
                |e: super::format::TemplateError| CliError::new(format!("template parsing error: {e}"));
            let template = Template::parse(text).map_err(|e| failed(e).code(64))?;
            template.render(data, Missing::Error).map(Some).map_err(failed)
        }
    }
}

fn kernel() -> String {
    rustix::system::uname().release().to_string_lossy().into_owned()
}

fn total_memory() -> u64 {
    let info = rustix::system::sysinfo();
    info.totalram.saturating_mul(u64::from(info.mem_unit))
}

fn operating_system() -> String {
    let text = Root::open(std::path::Path::new("/")).and_then(|root| root.read("etc/os-release", 1 << 16));
    let text = text.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default();
    let name = text.lines().find_map(|line| line.strip_prefix("PRETTY_NAME="));
    name.map_or("unknown".to_owned(), |name| name.trim_matches('"').to_owned())
}

/// `2` where cgroups are mounted as one hierarchy, else `1`.
fn cgroup_version() -> &'static str {
    let unified = Root::open(std::path::Path::new("/sys/fs/cgroup"))
        .and_then(|root| root.stat("cgroup.controllers", crate::fs::Follow::Yes));
    if unified.is_ok_and(|found| found.is_some()) { "2" } else { "1" }
}
