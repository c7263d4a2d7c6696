;; Calls the host ten million times, for as little as there is; and from every level of a stack that it fills. Each function is a tool.
(component
  (import "wasi:clocks/monotonic-clock@0.2.0" (instance $clock (export "now" (func (result u64)))))
  (import "wasi:random/random@0.2.0" (instance $random (export "get-random-u64" (func (result u64)))))
  (core func $now (canon lower (func $clock "now")))
  (core func $random (canon lower (func $random "get-random-u64")))
  (core module $m
    (import "host" "now" (func $now (result i64)))
    (import "host" "random" (func $random (result i64)))
    (func $deeper (export "deeper")
      (drop (call $now))
      (drop (call $random))
      (call $deeper))
    (func (export "ask") (local $asked i32)
      (loop $l
        (drop (call $now))
        (local.set $asked (i32.add (local.get $asked) (i32.const 1)))
        (br_if $l (i32.lt_u (local.get $asked) (i32.const 10000000))))))
  (core instance $i (instantiate $m (with "host" (instance (export "now" (func $now)) (export "random" (func $random))))))
  (func (export "deeper") (canon lift (core func $i "deeper")))
  (func (export "ask") (canon lift (core func $i "ask"))))
