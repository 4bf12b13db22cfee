//! Runs `tests/scenarios/ledger/*.txt`: one command a line after `> `, and below it what it says.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use tollgate_metering::{HOUR_S, Now, Phase, Policy, Rate, Reply, Step, plan};

use super::disk::{self, Cut, Fault};
use super::*;

/// A host as far as its ledger goes.
struct Host {
    store: Sqlite,
    ledger: Ledger,
    /// After an error of the store nothing is written, as in the thread that writes.
    poisoned: Option<String>,
    _folder: folder::Folder,
}

struct World {
    volume: TempDir,
    disk: String,
    hosts: BTreeMap<String, Host>,
    copy: Vec<u8>,
    now: u64,
}

impl World {
    fn new(name: &str) -> Self {
        disk::create(name);
        let volume = tempfile::tempdir().unwrap();
        Self { volume, disk: name.to_owned(), hosts: BTreeMap::new(), copy: Vec::new(), now: 490_000 * HOUR_S + 600 }
    }

    fn run(&mut self, command: &str) -> String {
        let words: Vec<&str> = command.split(' ').collect();
        match words[..] {
            ["start", name] => self.start(name, false),
            ["start", name, "again"] => match open(self.volume.path(), name) {
                Ok(_) => "started".to_owned(),
                Err(error) => self.told(&error),
            },
            ["start", name, "on", ..] => self.start(name, true),
            ["stop", name] => {
                drop(self.hosts.remove(name).unwrap());
                "stopped".to_owned()
            }
            ["use", name, units] => self.used(name, units.parse().unwrap()),
            ["pass", "an", "hour", name] => self.hour(name),
            ["show", name] => self.hosts[name].show(),
            ["verify", name] => match inspect(&self.folder(name)) {
                Ok(ledger) => format!("whole, {} recorded", ledger.balance().recorded),
                Err(error) => self.told(&error),
            },
            ["others", "of", name] => self.others(name),
            ["power", "cut"] => {
                self.hosts.clear();
                disk::cut(&self.disk, Cut::Nothing);
                "nothing unsynced is left".to_owned()
            }
            ["the", ..] => self.disk(&words[1..].join(" ")),
            _ => self.files(&words),
        }
    }

    fn start(&mut self, name: &str, on_disk: bool) -> String {
        // A host that is started again has ended.
        self.hosts.remove(name);
        let now = self.now;
        match self.open(name, on_disk) {
            Ok(mut host) => {
                let (identity, boot) = (name.to_owned(), host.ledger.boots() + 1);
                let created = host.ledger.is_fresh().then_some(Record::Created { at: now, ledger: 5 });
                let started = Record::Started { at: now, identity, boot, first_hour_taken: false };
                let said = host.write(Vec::new(), created.into_iter().chain([started]).collect());
                self.hosts.insert(name.to_owned(), host);
                said.map_or_else(|error| error, |()| format!("started, boot {boot}"))
            }
            Err(error) => self.told(&error),
        }
    }

    fn open(&self, name: &str, on_disk: bool) -> Result<Host, OpenError> {
        let mut folder = folder::Folder::take(self.volume.path(), name)?;
        let store = if on_disk {
            let path = PathBuf::from(format!("/{}/{name}.sqlite", self.disk));
            Sqlite::open_on(disk::NAME, &path, folder.begun())?
        } else {
            Sqlite::open(&folder.database(), folder.begun())?
        };
        let mut store = store.watched(folder.witness()?);
        let damaged = |problem| OpenError::Damaged { path: folder.database(), problem };
        let ledger = store.load().and_then(fold).map_err(damaged)?;
        folder.begin(&store.head())?;
        Ok(Host { store, ledger, poisoned: None, _folder: folder })
    }

    fn used(&mut self, name: &str, units: u64) -> String {
        let now = self.now;
        let host = self.hosts.get_mut(name).unwrap();
        let used = host.ledger.used(&policy().slot("images", Hour(0)), 1, "api", Tags::NONE, units, now);
        host.write(vec![used], Vec::new()).map_or_else(|error| error, |()| "on disk".to_owned())
    }

    /// Everything that is due when the hour is over; AWS accepts it.
    fn hour(&mut self, name: &str) -> String {
        self.now += HOUR_S + 1_300;
        let (now, mut said) = (self.now, Vec::new());
        let host = self.hosts.get_mut(name).unwrap();
        loop {
            let steps = plan(&host.ledger, Now { s: now, confirmed: true }, &policy(), Phase::Running);
            if steps.is_empty() {
                return said.join("\n    ");
            }
            for step in steps {
                let records = match step {
                    Step::Write(records) => records,
                    Step::Send { attempted, slot, request } => {
                        said.push(format!("sent {} {}", slot.dimension, request.quantity));
                        host.write(Vec::new(), vec![attempted]).unwrap();
                        host.ledger.answer(&slot, &Reply::Accepted { record_id: "R".into() }, now, 0).records
                    }
                };
                host.write(Vec::new(), records).unwrap();
            }
        }
    }

    fn others(&self, name: &str) -> String {
        let look = |path: PathBuf| {
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            match Other::take(&path) {
                Ok(Some(other)) => format!("{name}: free, {} open", other.ledger.balance().open),
                Ok(None) => format!("{name}: nothing left"),
                Err(OpenError::Locked(_)) => format!("{name}: in use"),
                Err(error) => format!("{name}: left alone, {}", self.told(&error)),
            }
        };
        folder::others(self.volume.path(), name).into_iter().map(look).collect::<Vec<_>>().join("\n    ")
    }

    fn disk(&mut self, what: &str) -> String {
        let fault = match what {
            "disk is full" => Fault::FullFrom(1),
            "disk is read-only" => Fault::From(1),
            "next sync fails" => Fault::NextSync,
            "disk works again" => {
                self.hosts.clear();
                Fault::None
            }
            _ => panic!("{what}: is not a command"),
        };
        disk::set_fault(&self.disk, fault);
        "so it is".to_owned()
    }

    fn files(&mut self, words: &[&str]) -> String {
        let name = words[words.len() - 1];
        let folder = self.folder(name);
        let database = folder.join("ledger.sqlite");
        match words {
            ["lose", file, ..] => fs::remove_file(folder.join(file)).unwrap(),
            ["cut", "off", file, ..] => {
                let file = folder.join(file);
                let bytes = fs::read(&file).unwrap();
                fs::write(&file, &bytes[..bytes.len() / 2]).unwrap();
            }
            ["copy", file, ..] => self.copy = fs::read(folder.join(file)).unwrap(),
            ["bring", ..] => fs::write(database, &self.copy).unwrap(),
            ["damage", _] => fs::write(database, [7; 9_000]).unwrap(),
            ["version", "1", ..] => {
                fs::create_dir_all(&folder).unwrap();
                fs::write(folder.join("lock"), b"begun\n").unwrap();
                Connection::open(&database).unwrap().execute_batch(include_str!("../version-1.sql")).unwrap();
                self.now = 7_500;
            }
            ["version", version, ..] => {
                let newer = format!("PRAGMA user_version = {version}");
                Connection::open(&database).unwrap().execute_batch(&newer).unwrap();
            }
            _ => panic!("{words:?}: is not a command"),
        }
        "done".to_owned()
    }

    fn folder(&self, name: &str) -> PathBuf {
        self.volume.path().join(name)
    }

    fn told(&self, error: &OpenError) -> String {
        let exit = error.exit();
        let what = exit.what.replace(&self.volume.path().display().to_string(), "VOLUME");
        format!("exit {}: {}", exit.why.code(), what.replace(&format!("/{}/", self.disk), "DISK/"))
    }
}

impl Host {
    fn write(&mut self, used: Vec<Used>, records: Vec<Record>) -> Result<(), String> {
        if let Some(poisoned) = &self.poisoned {
            return Err(format!("not tried, because of: {poisoned}"));
        }
        used.iter().for_each(|used| self.ledger.admit_used(used).unwrap());
        admit(&self.ledger, &records).unwrap();
        let batch = Batch { used, records };
        if let Err(error) = self.store.commit(&batch) {
            self.poisoned = Some(error.clone());
            return Err(format!("exit 73: {error}"));
        }
        batch.used.iter().for_each(|used| self.ledger.apply_used(used));
        batch.records.iter().for_each(|record| self.ledger.apply(record));
        Ok(())
    }

    fn show(&self) -> String {
        let slot = |(id, slot): (&SlotId, &tollgate_metering::Slot)| {
            format!("{} in hour {}: {} recorded, {}", id.dimension, id.hour, slot.recorded, slot.life.name())
        };
        self.ledger.slots().map(slot).collect::<Vec<_>>().join("\n    ")
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.hosts.clear();
        disk::remove(&self.disk);
    }
}

fn policy() -> Policy {
    Policy {
        listing: "paid".into(),
        product_code: "code".into(),
        sends: true,
        carry: false,
        zero_records: false,
        dimensions: vec![Rate { key: "images".into(), per: 1 }],
        warn_after_s: 3_600,
        stop_after_s: 14_400,
    }
}

/// Runs the commands of a script and compares the whole script, written anew.
fn check(path: &Path) {
    let name = path.file_stem().unwrap().to_str().unwrap();
    let script = fs::read_to_string(path).unwrap();
    let mut world = World::new(name);
    let mut run = String::new();
    for line in script.lines() {
        if line.starts_with('#') {
            writeln!(run, "{line}").unwrap();
        } else if let Some(command) = line.strip_prefix("> ") {
            writeln!(run, "{line}\n    {}", world.run(command)).unwrap();
        }
    }
    let new = std::env::temp_dir().join(format!("{name}.txt"));
    if run != script {
        fs::write(&new, &run).unwrap();
    }
    assert!(run == script, "{name} says something else now; if it is right, copy {} there:\n{run}", new.display());
}

#[test]
fn every_script_of_the_ledger_says_what_it_said() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/scenarios/ledger");
    let mut scripts: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    scripts.sort();
    assert!(scripts.len() >= 8, "{scripts:?}");
    scripts.iter().for_each(|script| check(script));
}
