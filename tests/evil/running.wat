;; Goes for time, stack, memory and tables, and falls in every way that an instruction can. Each function is a tool.
(component
  (core module $m
    (memory (export "memory") 1)
    (table $t 1 funcref)
    (type $nothing (func))

    (func (export "spin") (loop $l (br $l)))
    ;; Copies all of its memory onto itself, over and over: one instruction each time.
    (func (export "copy")
      (drop (memory.grow (i32.const 1000)))
      (loop $l
        (memory.copy (i32.const 1) (i32.const 0) (i32.const 65601535))
        (br $l)))

    ;; By a page, for as long as it gets one: how many it has then.
    (func (export "grow-memory") (result i32)
      (loop $l (br_if $l (i32.ne (memory.grow (i32.const 1)) (i32.const -1))))
      (memory.size))
    (func (export "grow-table") (result i32)
      (loop $l (br_if $l (i32.ne (table.grow $t (ref.null func) (i32.const 1)) (i32.const -1))))
      (table.size $t))
    (func (export "grow-table-at-once") (result i32)
      (table.grow $t (ref.null func) (i32.const 10000000)))
    ;; The same, and falls for want of it.
    (func (export "need-table")
      (if (i32.eq (table.grow $t (ref.null func) (i32.const 10000000)) (i32.const -1)) (then unreachable)))

    (func $deeper (export "recurse") (call $deeper))

    (func (export "unreachable") unreachable)
    (func (export "divide") (result i32) (i32.div_u (i32.const 1) (i32.const 0)))
    (func (export "overflow") (result i32) (i32.div_s (i32.const 0x80000000) (i32.const -1)))
    (func (export "convert") (result i32) (i32.trunc_f64_s (f64.const nan)))
    (func (export "load") (result i32) (i32.load (i32.const 0xfffffff0)))
    (func (export "null-call") (call_indirect $t (type $nothing) (i32.const 0)))
    (func (export "no-element") (call_indirect $t (type $nothing) (i32.const 5))))
  (core instance $i (instantiate $m))
  (func (export "spin") (canon lift (core func $i "spin")))
  (func (export "copy") (canon lift (core func $i "copy")))
  (func (export "grow-memory") (result u32) (canon lift (core func $i "grow-memory")))
  (func (export "grow-table") (result u32) (canon lift (core func $i "grow-table")))
  (func (export "grow-table-at-once") (result s32) (canon lift (core func $i "grow-table-at-once")))
  (func (export "need-table") (canon lift (core func $i "need-table")))
  (func (export "recurse") (canon lift (core func $i "recurse")))
  (func (export "unreachable") (canon lift (core func $i "unreachable")))
  (func (export "divide") (result u32) (canon lift (core func $i "divide")))
  (func (export "overflow") (result u32) (canon lift (core func $i "overflow")))
  (func (export "convert") (result u32) (canon lift (core func $i "convert")))
  (func (export "load") (result u32) (canon lift (core func $i "load")))
  (func (export "null-call") (canon lift (core func $i "null-call")))
  (func (export "no-element") (canon lift (core func $i "no-element"))))
