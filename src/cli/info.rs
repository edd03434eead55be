//! `version`, `info`

use clap::Args;
use serde_json::{Value, json};

use super::error::CliError;
use super::format::{Missing, Template};
use super::global::Global;
use super::{human, machine, output};
use crate::cdi::Registry;
use crate::run::LimitKinds;
use crate::run::rootless::Mapping;
use crate::store::LayerForm;

/// Show version information
#[derive(Debug, Args)]
pub struct VersionArgs {
    /// Format output: json, or a template
    #[arg(short, long, value_name = "STRING")]
    pub format: Option<String>,
}

/// Display system-wide information
#[derive(Debug, Args)]
pub struct InfoArgs {
    /// Format output: json, or a template
    #[arg(short, long, value_name = "STRING")]
    pub format: Option<String>,
}

/// The drivers of networks.
const NETWORKS: &[&str] = &["bridge", "host", "null"];
/// The drivers of logs.
const LOGS: &[&str] = &["journald", "json-file", "local", "none", "syslog"];
/// The engine API version whose shapes the commands follow.
pub const API: &str = "1.51";

/// The answer to `--version`; under docker's name in the form that scripts take apart.
pub fn version_line(program: &str) -> String {
    let name = if program == "docker" { "Docker" } else { "Skiff" };
    format!("{name} version {}, build skiff", env!("CARGO_PKG_VERSION"))
}

/// Runs `version`.
pub fn version(args: &VersionArgs, _global: &Global) -> Result<(), CliError> {
    let both = server();
    let data = json!({ "Client": both, "Server": both });
    if let Some(text) = formatted(args.format.as_deref(), &data)? {
        return output::line(&text);
    }
    output::data(&format!("{} Context:           default\n\n{}", side("Client"), side("Server")))
}

/// What `version` says of the engine, and the service to those who ask it.
pub fn server() -> Value {
    let arch = crate::image::Platform::host().architecture;
    let version = env!("CARGO_PKG_VERSION");
    let details = json!({
        "ApiVersion": API, "Arch": arch, "BuildTime": "", "Experimental": "false", "GitCommit": "",
        "GoVersion": "none (Rust)", "KernelVersion": machine::kernel(), "MinAPIVersion": "1.24", "Os": "linux",
    });
    json!({
        "Platform": {"Name": "Skiff"}, "Components": [{"Name": "Engine", "Version": version, "Details": details}],
        "Version": version, "ApiVersion": API, "MinAPIVersion": "1.24", "GitCommit": "",
        "GoVersion": "none (Rust)", "Os": "linux", "Arch": arch, "Context": "default", "KernelVersion": machine::kernel(),
        "Experimental": false, "BuildTime": "",
    })
}

/// What `info --format json` prints, and the service answers.
///
/// # Errors
/// The store or the configuration can't be read.
pub fn document(global: &Global) -> Result<Value, CliError> {
    Ok(Facts::new(global)?.document())
}

/// Returns what `version` says of the client or the server, which are one program.
pub fn side(title: &str) -> String {
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
    labels: Vec<String>,
    root: String,
    debug: bool,
    oom_kill_disable: bool,
    /// Where devices by request come from, and which there are.
    device_directories: Vec<std::path::PathBuf>,
    devices: Value,
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
        let device_directories = super::run::gpus::directories(global.rootless);
        Ok(Self {
            containers: [all, running, paused, all - running - paused],
            images: store.images()?.len(),
            driver: driver(form),
            status: vec![
                ["Backing Filesystem".to_owned(), machine::file_system(store.path())],
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
            labels: super::config_file::labels()?,
            root: store.path().display().to_string(),
            debug: global.args.debug,
            oom_kill_disable: LimitKinds::find().is_ok_and(|kinds| kinds.oom_kill_disable),
            devices: Registry::read(&device_directories)
                .devices()
                .map(|name| json!({ "Source": "cdi", "ID": name }))
                .collect(),
            device_directories,
        })
    }

    fn document(&self) -> Value {
        let [all, running, paused, stopped] = self.containers;
        let counts = json!({
            "ID": machine::id(), "Containers": all, "ContainersRunning": running, "ContainersPaused": paused,
            "ContainersStopped": stopped, "Images": self.images, "Driver": self.driver,
            "DriverStatus": self.status,
            "Plugins": { "Volume": ["local"], "Network": NETWORKS, "Authorization": null, "Log": LOGS },
        });
        let limits = json!({
            "MemoryLimit": true, "SwapLimit": true, "CpuCfsPeriod": true, "CpuCfsQuota": true, "CPUShares": true,
            "CPUSet": true, "PidsLimit": true, "OomKillDisable": self.oom_kill_disable, "IPv4Forwarding": machine::forwarding(),
        });
        let engine = json!({
            "Debug": self.debug, "NFd": -1, "NGoroutines": -1, "NEventsListener": 0,
            "SystemTime": jiff::Timestamp::now().to_string(),
            "LoggingDriver": self.logging, "CgroupDriver": "cgroupfs",
            "CgroupVersion": machine::cgroup_version(), "KernelVersion": machine::kernel(), "OperatingSystem": machine::operating_system(),
            "OSVersion": machine::release("VERSION_ID").unwrap_or_default(),
            "OSType": "linux", "Architecture": std::env::consts::ARCH,
        });
        let commit = json!({ "ID": "", "Expected": "" });
        let rest = json!({
            "IndexServerAddress": "https://index.docker.io/v1/",
            "RegistryConfig": self.registries(),
            "NCPU": machine::cpus(), "MemTotal": machine::total_memory(), "GenericResources": null, "DockerRootDir": self.root,
            "HttpProxy": "", "HttpsProxy": "", "NoProxy": "", "Name": machine::name(),
            "Labels": self.labels, "ExperimentalBuild": false, "ServerVersion": env!("CARGO_PKG_VERSION"),
            "Runtimes": { "skiff": { "path": "skiff" } }, "DefaultRuntime": "skiff",
            "Swarm": { "NodeID": "", "NodeAddr": "", "LocalNodeState": "inactive", "ControlAvailable": false,
                       "Error": "", "RemoteManagers": null },
            "LiveRestoreEnabled": true, "Isolation": "", "InitBinary": "skiff",
            "ContainerdCommit": commit, "RuncCommit": commit, "InitCommit": commit,
            "SecurityOptions": self.security, "CDISpecDirs": self.device_directories,
            "DiscoveredDevices": self.devices, "Warnings": null,
            "ClientInfo": {
                "Debug": self.debug, "Context": "default", "Version": env!("CARGO_PKG_VERSION"),
                "Plugins": [], "Warnings": null,
            },
        });
        let parts = [counts, limits, engine, rest].into_iter();
        parts.flat_map(|part| part.as_object().cloned().unwrap_or_default()).collect()
    }

    /// How registries are reached, in docker's form.
    fn registries(&self) -> Value {
        let named = |entry: &&String| !entry.contains('/');
        let mut hosts: serde_json::Map<String, Value> = self
            .insecure
            .iter()
            .filter(named)
            .map(|name| {
                let shown = json!({ "Name": name, "Mirrors": [], "Secure": false, "Official": false });
                (name.clone(), shown)
            })
            .collect();
        let official =
            json!({ "Name": "docker.io", "Mirrors": self.mirrors, "Secure": true, "Official": true });
        hosts.insert("docker.io".to_owned(), official);
        let ranges: Vec<_> = self.insecure.iter().filter(|entry| !named(entry)).collect();
        json!({ "InsecureRegistryCIDRs": ranges, "IndexConfigs": hosts, "Mirrors": self.mirrors })
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
            format!(" Cgroup Version: {}", machine::cgroup_version()),
            " Plugins:".to_owned(),
            "  Volume: local".to_owned(),
            format!("  Network: {}", NETWORKS.join(" ")),
            format!("  Log: {}", LOGS.join(" ")),
        ]);
        lines.extend(device_lines(&json!(self.device_directories), &self.devices));
        lines.extend([" Swarm: inactive".to_owned(), " Security Options:".to_owned()]);
        let shown = |text: &String| text.trim_start_matches("name=").replace(",profile=", "\n   Profile: ");
        lines.extend(self.security.iter().map(|option| format!("  {}", shown(option))));
        lines.extend([
            format!(" Kernel Version: {}", machine::kernel()),
            format!(" Operating System: {}", machine::operating_system()),
            " OSType: linux".to_owned(),
            format!(" Architecture: {}", std::env::consts::ARCH),
            format!(" CPUs: {}", machine::cpus()),
            format!(" Total Memory: {}", human::memory(machine::total_memory())),
            format!(" Name: {}", machine::name()),
            format!(" Docker Root Dir: {}", self.root),
            format!(" Debug Mode: {}", self.debug),
            " Experimental: false".to_owned(),
        ]);
        if !self.labels.is_empty() {
            lines.push(" Labels:".to_owned());
            lines.extend(self.labels.iter().map(|label| format!("  {label}")));
        }
        lines.extend([" Insecure Registries:".to_owned()]);
        lines.extend(self.insecure.iter().map(|entry| format!("  {entry}")));
        if !self.mirrors.is_empty() {
            lines.push(" Registry Mirrors:".to_owned());
            lines.extend(self.mirrors.iter().map(|mirror| format!("  {}/", mirror.trim_end_matches('/'))));
        }
        lines.push(" Live Restore Enabled: true\n".to_owned());
        lines.join("\n")
    }
}

/// Returns what is said of where devices by request come from, and which there are.
pub fn device_lines(directories: &Value, devices: &Value) -> Vec<String> {
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let (directories, devices) = (list(directories), list(devices));
    let mut lines = Vec::new();
    if !directories.is_empty() {
        lines.push(" CDI spec directories:".to_owned());
        lines.extend(directories.iter().map(|directory| format!("  {}", text(directory))));
    }
    if !devices.is_empty() {
        lines.push(" Discovered Devices:".to_owned());
        lines.extend(devices.iter().map(|one| format!("  {}: {}", text(&one["Source"]), text(&one["ID"]))));
    }
    lines
}

/// Runs `info`.
pub fn info(args: &InfoArgs, global: &Global) -> Result<(), CliError> {
    let facts = Facts::new(global)?;
    match formatted(args.format.as_deref(), &facts.document())? {
        Some(text) => output::line(&text),
        None => output::data(&facts.text()),
    }
}

fn driver(form: LayerForm) -> &'static str {
    match form {
        LayerForm::Index => "overlay on erofs",
        LayerForm::Directory => "overlay",
    }
}

/// Renders a document by `--format`; none without one.
///
/// # Errors
/// The template does not parse or run.
pub fn formatted(format: Option<&str>, data: &Value) -> Result<Option<String>, CliError> {
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
