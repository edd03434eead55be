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

/// The engine API version whose shapes the commands follow.
const API: &str = "1.51";

/// The answer to `--version`; under docker's name in the form that scripts take apart.
pub fn version_line(program: &str) -> String {
    let name = if program == "docker" { "Docker" } else { "Skiff" };
    format!("{name} version {}, build skiff", env!("CARGO_PKG_VERSION"))
}

/// Runs `version`.
pub fn version(args: &VersionArgs, _global: &Global) -> Result<(), CliError> {
    let version = env!("CARGO_PKG_VERSION");
    let arch = crate::image::Platform::host().architecture;
    let side = json!({
        "Version": version, "ApiVersion": API, "Os": "linux", "Arch": arch, "Context": "default",
        "GoVersion": "none (Rust)", "GitCommit": "", "BuildTime": "",
        "Platform": {"Name": "Skiff"}, "KernelVersion": kernel(), "MinAPIVersion": "1.24", "Experimental": false,
    });
    let data = json!({ "Client": side, "Server": side });
    if let Some(text) = formatted(args.format.as_deref(), &data)? {
        return output::line(&text);
    }
    let block = |title: &str| {
        format!(
            "{title}: Skiff\n Version:           {version}\n API version:       {API}\n OS/Arch:           linux/{arch}\n"
        )
    };
    output::data(&format!("{} Context:           default\n\n{}", block("Client"), block("Server")))
}

/// Runs `info`.
pub fn info(args: &InfoArgs, global: &Global) -> Result<(), CliError> {
    let store = global.store()?;
    let (form, why) = store.form()?;
    let images = store.images()?.len();
    let containers = super::containers::list(global)?;
    let paused = containers.iter().filter(|c| c.state.status == crate::containers::Status::Paused).count();
    let running = containers.iter().filter(|container| container.is_running()).count() - paused;
    let (containers, dead) = (containers.len(), containers.len() - running - paused);
    let (memory, cpus) = (total_memory(), std::thread::available_parallelism().map_or(1, usize::from));
    let support = store.support()?;
    let yes_or_why = |result: &Result<(), String>| match result {
        Ok(()) => "yes".to_owned(),
        Err(why) => format!("no ({why})"),
    };
    let cgroup = cgroup_version();
    let mut security = vec!["name=seccomp,profile=builtin".to_owned(), "name=cgroupns".to_owned()];
    if global.rootless {
        security.push("name=rootless".to_owned());
        if let Some(Mapping::Single { reason }) = &global.mapping {
            output::talk(&format!("WARNING: only one user id is mapped: {reason}"));
        }
    }
    let name = rustix::system::uname().nodename().to_string_lossy().into_owned();
    let data = json!({
        "Containers": containers, "ContainersRunning": running, "ContainersPaused": paused, "ContainersStopped": dead, "Images": images,
        "ServerVersion": env!("CARGO_PKG_VERSION"), "Driver": driver(form),
        "DriverStatus": [["Layer Form", why], ["EROFS", yes_or_why(&support.erofs)], ["Overlay", yes_or_why(&support.overlay)]],
        "CgroupDriver": "cgroupfs", "CgroupVersion": cgroup, "LoggingDriver": "none",
        "KernelVersion": kernel(), "OperatingSystem": operating_system(), "OSType": "linux",
        "Architecture": std::env::consts::ARCH, "NCPU": cpus, "MemTotal": memory, "Name": name,
        "DockerRootDir": store.path().display().to_string(), "SecurityOptions": security,
        "ClientInfo": {"Debug": global.args.debug, "Context": "default"}, "Debug": global.args.debug,
    });
    if let Some(text) = formatted(args.format.as_deref(), &data)? {
        return output::line(&text);
    }
    let security: String = security
        .iter()
        .map(|s| format!("\n  {}", s.trim_start_matches("name=").replace(",profile=", "\n   Profile: ")))
        .collect();
    output::data(&format!(
        "Client: Skiff\n Version:    {version}\n Context:    default\n Debug Mode: {debug}\n\n\
         Server:\n Containers: {containers}\n  Running: {running}\n  Paused: {paused}\n  Stopped: {dead}\n Images: {images}\n \
         Server Version: {version}\n Storage Driver: {driver}\n  Layer Form: {why}\n  EROFS: {erofs}\n  Overlay: {overlay}\n  \
         Supports d_type: true\n  Native Overlay Diff: true\n Logging Driver: none\n Cgroup Driver: cgroupfs\n \
         Cgroup Version: {cgroup}\n Security Options:{security}\n Kernel Version: {kernel}\n Operating System: {system}\n \
         OSType: linux\n Architecture: {arch}\n CPUs: {cpus}\n Total Memory: {memory}\n Name: {name}\n \
         Docker Root Dir: {root}\n Debug Mode: {debug}\n",
        version = env!("CARGO_PKG_VERSION"),
        debug = global.args.debug,
        driver = driver(form),
        erofs = yes_or_why(&support.erofs),
        overlay = yes_or_why(&support.overlay),
        kernel = kernel(),
        system = operating_system(),
        arch = std::env::consts::ARCH,
        memory = human::memory(memory),
        root = store.path().display(),
    ))
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
