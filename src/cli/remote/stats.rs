//! `stats`: what containers use, as the engine measures it.

use std::io::IsTerminal as _;

use serde_json::{Map, Value, json};

use super::{Engine, life, list, rows, text};
use crate::cli::container::client_setting;
use crate::cli::container::stats::{COLUMNS, DEFAULT, StatsArgs, drawn};
use crate::cli::error::CliError;
use crate::cli::format::List;
use crate::cli::{human, output};
use crate::engine::client::Request;

/// Runs the command; an answer takes the engine a second, in which it looks twice.
pub fn stats(args: &StatsArgs, engine: &Engine<'_>) -> Result<(), CliError> {
    let format = args.format.clone().or_else(|| client_setting(engine.global, "statsFormat"));
    // A template that means nothing is refused before anything is waited for.
    List { columns: COLUMNS, default: DEFAULT, rows: Vec::new() }.render(format.as_deref())?;
    for name in &args.names {
        engine.get(&life::path(name, "/json")?)?;
    }
    let draws = !args.no_stream && std::io::stdout().is_terminal();
    loop {
        let seen = look(args, engine)?;
        let rows: Vec<_> = seen.iter().map(|(named, stats)| row(named, stats, args.no_trunc)).collect();
        let ended = !args.names.is_empty() && rows.is_empty();
        let text = List { columns: COLUMNS, default: DEFAULT, rows }.render(format.as_deref())?;
        output::data(&if draws { drawn(&text) } else { text })?;
        if args.no_stream || ended {
            return Ok(());
        }
        if seen.is_empty() {
            std::thread::sleep(std::time::Duration::from_secs(1));
        }
    }
}

/// Asks for all at once; one that is removed meanwhile is left out.
fn look(args: &StatsArgs, engine: &Engine<'_>) -> Result<Vec<(String, Value)>, CliError> {
    let names: Vec<String> = match args.names.is_empty() {
        false => args.names.clone(),
        true => {
            let found = engine.document(Request::get("/containers/json").flag("all", args.all))?;
            list(&found).iter().map(|one| rows::id(text(&one["Id"]), false)).collect()
        }
    };
    let client = &engine.client;
    let asked: Vec<Option<Value>> = std::thread::scope(|scope| {
        let ask = |name: &String| {
            let path = life::path(name, "/stats").ok()?;
            client.document(Request::get(path).query("stream", "0")).ok()
        };
        let threads: Vec<_> = names.iter().map(|name| scope.spawn(move || ask(name))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap_or_default()).collect()
    });
    Ok(names.into_iter().zip(asked).filter_map(|(name, stats)| Some((name, stats?))).collect())
}

fn row(named: &str, stats: &Value, whole: bool) -> Map<String, Value> {
    let memory = memory(&stats["memory_stats"]);
    let limit = stats["memory_stats"]["limit"].as_u64().unwrap_or(0);
    let of_limit = if limit == 0 { 0.0 } else { memory as f64 / limit as f64 * 100.0 };
    let (received, sent) = network(&stats["networks"]);
    let (read, written) = block(&stats["blkio_stats"]["io_service_bytes_recursive"]);
    let id = text(&stats["id"]);
    rows::object(json!({
        "Container": named,
        "ID": rows::id(if id.is_empty() { named } else { id }, whole),
        "Name": text(&stats["name"]).trim_start_matches('/'),
        "CPUPerc": format!("{:.2}%", cpu(stats)),
        "MemUsage": format!("{} / {}", human::memory(memory), human::memory(limit)),
        "MemPerc": format!("{of_limit:.2}%"),
        "NetIO": format!("{} / {}", human::size(received), human::size(sent)),
        "BlockIO": format!("{} / {}", human::size(read), human::size(written)),
        "PIDs": stats["pids_stats"]["current"].as_u64().unwrap_or(0).to_string(),
    }))
}

/// The use of processors between the two looks, in percent of one of them.
fn cpu(stats: &Value) -> f64 {
    let (now, before) = (&stats["cpu_stats"], &stats["precpu_stats"]);
    let number = |value: &Value| value.as_f64().unwrap_or(0.0);
    let used = number(&now["cpu_usage"]["total_usage"]) - number(&before["cpu_usage"]["total_usage"]);
    let all = number(&now["system_cpu_usage"]) - number(&before["system_cpu_usage"]);
    let online = match number(&now["online_cpus"]) {
        0.0 => list(&now["cpu_usage"]["percpu_usage"]).len() as f64,
        online => online,
    };
    if all > 0.0 && used > 0.0 { used / all * online * 100.0 } else { 0.0 }
}

/// What is used without what can be given back at once.
fn memory(stats: &Value) -> u64 {
    let usage = stats["usage"].as_u64().unwrap_or(0);
    let inner = &stats["stats"];
    let inactive = inner["total_inactive_file"].as_u64().or_else(|| inner["inactive_file"].as_u64());
    inactive.filter(|inactive| *inactive < usage).map_or(usage, |inactive| usage - inactive)
}

fn network(networks: &Value) -> (u64, u64) {
    let all = networks.as_object().into_iter().flatten().map(|(_, one)| one);
    let number = |one: &Value, key: &str| one[key].as_u64().unwrap_or(0);
    all.fold((0, 0), |(received, sent), one| {
        (received + number(one, "rx_bytes"), sent + number(one, "tx_bytes"))
    })
}

fn block(entries: &Value) -> (u64, u64) {
    let sum = |letter: char| {
        let of = |entry: &&Value| text(&entry["op"]).to_lowercase().starts_with(letter);
        list(entries).iter().filter(of).map(|entry| entry["value"].as_u64().unwrap_or(0)).sum()
    };
    (sum('r'), sum('w'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_dockers() {
        let stats = json!({
            "id": "0123456789abcdef", "name": "/n",
            "cpu_stats": {"cpu_usage": {"total_usage": 350}, "system_cpu_usage": 2000, "online_cpus": 4},
            "precpu_stats": {"cpu_usage": {"total_usage": 100}, "system_cpu_usage": 1000},
            "memory_stats": {"usage": 3 << 20, "limit": 4 << 20, "stats": {"inactive_file": 1 << 20}},
            "networks": {"eth0": {"rx_bytes": 1500, "tx_bytes": 1}, "eth1": {"rx_bytes": 500, "tx_bytes": 1}},
            "blkio_stats": {"io_service_bytes_recursive": [
                {"op": "Read", "value": 1}, {"op": "write", "value": 2}, {"op": "Read", "value": 4}]},
            "pids_stats": {"current": 7},
        });
        let row = row("n", &stats, false);
        for (key, expected) in [
            ("ID", "0123456789ab"),
            ("Name", "n"),
            ("CPUPerc", "100.00%"),
            ("MemUsage", "2MiB / 4MiB"),
            ("MemPerc", "50.00%"),
            ("NetIO", "2kB / 2B"),
            ("BlockIO", "5B / 2B"),
            ("PIDs", "7"),
        ] {
            assert_eq!(row[key], expected, "{key}");
        }
    }
}
