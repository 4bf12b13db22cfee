;; tollgate:metering/counter@0.1.0, put into the guest so that an add costs a few instructions: the last instance is what the
;; guest calls. What it counts in and why it may is said in meter/cells.rs; the offsets below are asserted there.
(component
  (import "tollgate-unsafe-intrinsics" (instance $intrinsics
    (export "store-data-address" (func (result u64)))
    (export "u64-native-load" (func (param "pointer" u64) (result u64)))
    (export "u64-native-store" (func (param "pointer" u64) (param "value" u64)))))
  ;; What is not decided here; the answers are the numbers of the outcomes.
  (import "tollgate:host/counter@0.1.0" (instance $host
    (export "add" (func (param "dimension" u32) (param "units" u32) (result u32)))
    (export "add-tagged" (func (param "dimension" u32) (param "tags" u32) (param "units" u32) (result u32)))))
  (core func $window (canon lower (func $intrinsics "store-data-address")))
  (core func $load (canon lower (func $intrinsics "u64-native-load")))
  (core func $store (canon lower (func $intrinsics "u64-native-store")))
  (core func $ask (canon lower (func $host "add")))
  (core func $ask-tagged (canon lower (func $host "add-tagged")))
  (core module $counter
    (import "" "window" (func $window (result i64)))
    (import "" "load" (func $load (param i64) (result i64)))
    (import "" "store" (func $store (param i64 i64)))
    (import "" "ask" (func $ask (param i32 i32) (result i32)))
    (import "" "ask-tagged" (func $ask-tagged (param i32 i32 i32) (result i32)))
    (func $add (export "add") (param $dimension i32) (param $units i32) (result i32)
      (local $window i64) (local $cells i64) (local $cell i64) (local $sum i64)
      (local.set $window (call $window))
      ;; window.dimensions
      (if (i64.lt_u
            (i64.extend_i32_u (local.get $dimension))
            (call $load (i64.add (local.get $window) (i64.const 8))))
        (then
          (local.set $cells (call $load (local.get $window)))
          (local.set $cell
            (i64.add
              (i64.add (local.get $cells) (i64.const 16))
              (i64.shl (i64.extend_i32_u (local.get $dimension)) (i64.const 4))))
          (local.set $sum (i64.add (call $load (local.get $cell)) (i64.extend_i32_u (local.get $units))))
          (if (i32.and
                ;; the generation of the first cell, and *window.generation
                (i64.eq
                  (call $load (local.get $cells))
                  (call $load (call $load (i64.add (local.get $window) (i64.const 16)))))
                ;; cell.bound
                (i64.lt_u (local.get $sum) (call $load (i64.add (local.get $cell) (i64.const 8)))))
            (then
              (call $store (local.get $cell) (local.get $sum))
              (return (i32.const 0))))))
      (call $ask (local.get $dimension) (local.get $units)))
    (func (export "add-tagged") (param $dimension i32) (param $tags i32) (param $units i32) (result i32)
      (if (i32.eqz (local.get $tags))
        (then (return (call $add (local.get $dimension) (local.get $units)))))
      (call $ask-tagged (local.get $dimension) (local.get $tags) (local.get $units))))
  (core instance $made (instantiate $counter (with "" (instance
    (export "window" (func $window))
    (export "load" (func $load))
    (export "store" (func $store))
    (export "ask" (func $ask))
    (export "ask-tagged" (func $ask-tagged)))))))
