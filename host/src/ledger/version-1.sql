-- A ledger as version 1 wrote it: two entries and 7 units.
CREATE TABLE usage (
    listing TEXT NOT NULL, payer TEXT NOT NULL, dimension TEXT NOT NULL, hour INTEGER NOT NULL,
    tags TEXT NOT NULL, component TEXT NOT NULL,
    per INTEGER NOT NULL, units INTEGER NOT NULL, late INTEGER NOT NULL, at INTEGER NOT NULL,
    PRIMARY KEY (listing, payer, dimension, hour, tags, component)
) STRICT, WITHOUT ROWID;
CREATE TABLE recorded (
    listing TEXT NOT NULL, payer TEXT NOT NULL, dimension TEXT NOT NULL, hour INTEGER NOT NULL,
    units INTEGER NOT NULL,
    PRIMARY KEY (listing, payer, dimension, hour)
) STRICT, WITHOUT ROWID;
CREATE TABLE transitions (seq INTEGER PRIMARY KEY, text TEXT NOT NULL, hash BLOB NOT NULL) STRICT;
INSERT INTO usage VALUES ('paid', 'self', 'images', 2, 'team:blue', 'api', 1, 7, 0, 7400);
INSERT INTO recorded VALUES ('paid', 'self', 'images', 2, 7);
INSERT INTO transitions VALUES (1, 'created at=7200 ledger=5', x'd5407a137bdb99bd4a9a62742a1a99f3a5f7f55af5b927425a13dd5250fa7ffb');
INSERT INTO transitions VALUES (2, 'started at=7200 identity=arn%3aaws%3aecs%3aeu-west-1%3a111122223333%3atask/shop/0123456789abcdef boot=1 first_hour_taken=false', x'5fecafc0df74f69696c43e3b8f3b70e5bbb5161643eedef45f74aa9c728285f1');
PRAGMA application_id = 0x544f4c4c;
PRAGMA user_version = 1;
