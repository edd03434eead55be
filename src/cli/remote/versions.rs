//! `version` and `info`: what this client is, and what the engine says of itself.

use serde_json::{Value, json};

use super::{Engine, list, text};
use crate::cli::error::CliError;
use crate::cli::info::{self, InfoArgs, VersionArgs, device_lines, formatted};
use crate::cli::{human, output};

/// Runs `version`; the client's part is told also where no engine is.
pub fn version(args: &VersionArgs, engine: &Engine<'_>) -> Result<(), CliError> {
    let asked = engine.get("/version");
    let (server, failure) = match asked {
        Ok(server) => (server, None),
        Err(error) => (Value::Null, Some(error)),
    };
    let spoken = match failure {
        None => engine.client.version()?.to_owned(),
        Some(_) => info::API.to_owned(),
    };
    let arch = crate::image::Platform::host().architecture;
    let client = json!({
        "Platform": {"Name": "Skiff"}, "Version": env!("CARGO_PKG_VERSION"), "ApiVersion": spoken,
        "DefaultAPIVersion": info::API, "GitCommit": "", "GoVersion": "none (Rust)", "Os": "linux", "Arch": arch,
        "BuildTime": "", "Context": engine.context,
    });
    let data = json!({ "Client": client, "Server": server });
    match formatted(args.format.as_deref(), &data) {
        Ok(Some(text)) => output::line(&text)?,
        // Without a server its fields are missing; why is said below.
        Err(error) if failure.is_none() => return Err(error),
        Err(_) => {}
        Ok(None) => {
            let downgraded = format!("{spoken} (downgraded from {})", info::API);
            let own = info::side("Client");
            let own = if spoken == info::API { own } else { own.replace(info::API, &downgraded) };
            let mut shown = format!("{own} Context:           {}\n", engine.context);
            if failure.is_none() {
                shown.push_str(&format!("\n{}", server_text(&server)));
            }
            output::data(&shown)?;
        }
    }
    failure.map_or(Ok(()), Err)
}

fn server_text(server: &Value) -> String {
    let mut out = match text(&server["Platform"]["Name"]) {
        "" => "Server:\n".to_owned(),
        name => format!("Server: {name}\n"),
    };
    let components = list(&server["Components"]);
    if components.is_empty() {
        component(&mut out, "Engine", server);
        return out;
    }
    for one in components {
        let name = text(&one["Name"]);
        if name == "Engine" {
            let mut details = one["Details"].clone();
            details["Version"] = one["Version"].clone();
            component(&mut out, name, &details);
        } else {
            out.push_str(&format!(" {name}:\n  Version:          {}\n", text(&one["Version"])));
            let details = one["Details"].as_object().into_iter().flatten();
            for (key, value) in details {
                out.push_str(&format!("  {:<18}{}\n", format!("{key}:"), text(value)));
            }
        }
    }
    out
}

fn component(out: &mut String, name: &str, details: &Value) {
    let of = |key: &str| text(&details[key]).to_owned();
    let least = of("MinAPIVersion");
    let experimental = match &details["Experimental"] {
        Value::Bool(value) => value.to_string(),
        other => text(other).to_owned(),
    };
    out.push_str(&format!(" {name}:\n"));
    for (title, value) in [
        ("Version:", of("Version")),
        ("API version:", format!("{} (minimum version {least})", of("ApiVersion"))),
        ("Go version:", of("GoVersion")),
        ("Git commit:", of("GitCommit")),
        ("Built:", built(&of("BuildTime"))),
        ("OS/Arch:", format!("{}/{}", of("Os"), of("Arch"))),
        ("Experimental:", experimental),
    ] {
        let line = format!("  {title:<18}{value}");
        out.push_str(line.trim_end());
        out.push('\n');
    }
}

/// A moment as Go's `ANSIC` has it; anything else stays.
fn built(text: &str) -> String {
    match text.parse::<jiff::Timestamp>() {
        Ok(moment) => moment.strftime("%a %b %e %H:%M:%S %Y").to_string(),
        Err(_) => text.to_owned(),
    }
}

/// Runs `info`.
pub fn info(args: &InfoArgs, engine: &Engine<'_>) -> Result<(), CliError> {
    let debug = engine.global.args.debug;
    let client = json!({
        "Debug": debug, "Context": engine.context, "Version": env!("CARGO_PKG_VERSION"), "Plugins": [],
        "Warnings": null,
    });
    let asked = engine.get("/info");
    let (mut data, failure) = match asked {
        Ok(data) => (data, None),
        Err(error) => (json!({}), Some(error)),
    };
    let server = data.clone();
    data["ClientInfo"] = client;
    if let Some(error) = &failure {
        data["ServerErrors"] = json!([error.text]);
    }
    match formatted(args.format.as_deref(), &data)? {
        Some(text) => output::line(&text)?,
        None => {
            let version = env!("CARGO_PKG_VERSION");
            let context = &engine.context;
            let head = format!(
                "Client: Skiff\n Version:    {version}\n Context:    {context}\n Debug Mode: {debug}\n\nServer:\n"
            );
            output::data(&(head + &if failure.is_none() { server_info(&server) } else { String::new() }))?;
            for warning in list(&server["Warnings"]) {
                output::talk(text(warning));
            }
        }
    }
    match failure {
        Some(error) if args.format.is_none() => {
            Err(CliError::new(format!("ERROR: {}\nerrors pretty printing info", error.text)))
        }
        Some(error) => Err(error),
        None => Ok(()),
    }
}

fn server_info(info: &Value) -> String {
    let of = |key: &str| match &info[key] {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        other => other.to_string(),
    };
    let mut lines = vec![
        format!(" Containers: {}", of("Containers")),
        format!("  Running: {}", of("ContainersRunning")),
        format!("  Paused: {}", of("ContainersPaused")),
        format!("  Stopped: {}", of("ContainersStopped")),
        format!(" Images: {}", of("Images")),
    ];
    let mut told = |title: &str, key: &str| {
        let value = of(key);
        if !value.is_empty() {
            lines.push(format!(" {title}: {value}"));
        }
    };
    told("Server Version", "ServerVersion");
    told("Storage Driver", "Driver");
    for pair in list(&info["DriverStatus"]) {
        lines.push(format!("  {}: {}", text(&pair[0]), text(&pair[1])));
    }
    for (title, key) in [
        ("Logging Driver", "LoggingDriver"),
        ("Cgroup Driver", "CgroupDriver"),
        ("Cgroup Version", "CgroupVersion"),
    ] {
        lines.push(format!(" {title}: {}", of(key)));
    }
    lines.push(" Plugins:".to_owned());
    for key in ["Volume", "Network", "Authorization", "Log"] {
        let names: Vec<&str> = list(&info["Plugins"][key]).iter().map(text).collect();
        if !names.is_empty() {
            lines.push(format!("  {key}: {}", names.join(" ")));
        }
    }
    lines.extend(device_lines(&info["CDISpecDirs"], &info["DiscoveredDevices"]));
    lines.push(format!(" Swarm: {}", text(&info["Swarm"]["LocalNodeState"])));
    let runtimes: Vec<&str> =
        info["Runtimes"].as_object().into_iter().flatten().map(|(name, _)| name.as_str()).collect();
    if !runtimes.is_empty() {
        lines.push(format!(" Runtimes: {}", runtimes.join(" ")));
        lines.push(format!(" Default Runtime: {}", of("DefaultRuntime")));
    }
    for (title, key) in [("containerd", "ContainerdCommit"), ("runc", "RuncCommit"), ("init", "InitCommit")] {
        let id = text(&info[key]["ID"]);
        if !id.is_empty() {
            lines.push(format!(" {title} version: {id}"));
        }
    }
    lines.push(" Security Options:".to_owned());
    for option in list(&info["SecurityOptions"]) {
        let option = text(option).trim_start_matches("name=").replace(",profile=", "\n   Profile: ");
        lines.push(format!("  {option}"));
    }
    for (title, key) in [
        ("Kernel Version", "KernelVersion"),
        ("Operating System", "OperatingSystem"),
        ("OSType", "OSType"),
        ("Architecture", "Architecture"),
        ("CPUs", "NCPU"),
    ] {
        lines.push(format!(" {title}: {}", of(key)));
    }
    lines.push(format!(" Total Memory: {}", human::memory(info["MemTotal"].as_u64().unwrap_or(0))));
    for (title, key) in [
        ("Name", "Name"),
        ("ID", "ID"),
        ("Docker Root Dir", "DockerRootDir"),
        ("Debug Mode", "Debug"),
        ("HTTP Proxy", "HttpProxy"),
        ("HTTPS Proxy", "HttpsProxy"),
        ("No Proxy", "NoProxy"),
        ("Experimental", "ExperimentalBuild"),
    ] {
        if !of(key).is_empty() {
            lines.push(format!(" {title}: {}", of(key)));
        }
    }
    let registries = &info["RegistryConfig"];
    lines.push(" Insecure Registries:".to_owned());
    let hosts = registries["IndexConfigs"].as_object().into_iter().flatten();
    let insecure = hosts.filter(|(_, host)| host["Secure"] == false).map(|(name, _)| name.as_str());
    lines.extend(insecure.map(|name| format!("  {name}")));
    lines.extend(list(&registries["InsecureRegistryCIDRs"]).iter().map(|cidr| format!("  {}", text(cidr))));
    let mirrors = list(&registries["Mirrors"]);
    if !mirrors.is_empty() {
        lines.push(" Registry Mirrors:".to_owned());
        lines.extend(mirrors.iter().map(|mirror| format!("  {}", text(mirror))));
    }
    lines.push(format!(" Live Restore Enabled: {}\n\n", of("LiveRestoreEnabled")));
    lines.join("\n")
}
