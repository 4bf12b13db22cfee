//! Folders of several identities on one volume.

use tollgate_metering::*;

use super::World;
use super::telling::line;

impl World {
    /// Leaves the folder in use under a name, and begins with an empty one.
    pub(super) fn leave(&mut self, name: &str) -> Vec<String> {
        self.folders.insert(name.into(), Default::default());
        self.swap(name)
    }

    /// Keeps a copy of the folder in use under a name; `folder` then goes back to it.
    pub(super) fn copy(&mut self, name: &str) -> Vec<String> {
        let copy = (self.ledger.clone(), self.used.clone(), self.records.clone());
        self.folders.insert(name.into(), copy);
        Vec::new()
    }

    /// Exchanges the folder in use with the one of that name.
    pub(super) fn swap(&mut self, name: &str) -> Vec<String> {
        let other = self.folders.get_mut(name).unwrap();
        std::mem::swap(&mut self.ledger, &mut other.0);
        std::mem::swap(&mut self.used, &mut other.1);
        std::mem::swap(&mut self.records, &mut other.2);
        Vec::new()
    }

    /// What a start does with the folder of another identity whose lock is free. Cut off: between the two entries.
    pub(super) fn adopt(&mut self, name: &str, cut_off: bool) -> Vec<String> {
        let identity = self.ledger.identity().to_owned();
        let mut said = Vec::new();
        self.swap(name);
        self.begin(&identity, false);
        loop {
            let steps = plan(&self.ledger, self.now(), &self.policy, Phase::Running);
            let writes: Vec<Record> = steps
                .into_iter()
                .filter_map(|step| if let Step::Write(records) = step { Some(records) } else { None })
                .flatten()
                .collect();
            if writes.is_empty() {
                break;
            }
            self.tell(&writes, &mut said);
        }
        let old = self.ledger.clone();
        self.swap(name);
        let Handing { repaired, handed, adopted } = self.ledger.adopt_from(&old, self.now(), &self.policy);
        self.tell(&repaired, &mut said);
        self.swap(name);
        self.tell(&handed, &mut said);
        self.read_back();
        self.swap(name);
        if !cut_off {
            self.tell(&adopted, &mut said);
        }
        if said.is_empty() { vec!["nothing to adopt".into()] } else { said }
    }

    fn tell(&mut self, records: &[Record], said: &mut Vec<String>) {
        said.extend(records.iter().filter_map(line));
        self.write(records);
    }
}
