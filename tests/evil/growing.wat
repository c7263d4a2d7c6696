;; Makes its memory grow, as what linkers make does with its first allocation: it begins with no more than its stack. Each function is a tool.
(component
  (core module $m
    (memory (export "memory") 1)
    (global $stack (mut i32) (i32.const 65536))
    (func (export "size") (result i32) (memory.size))
    ;; How many pages there were, and are.
    (func (export "grow") (param i32) (result i32) (memory.grow (local.get 0)))
    ;; Writes to the last byte of so many pages more, and reads it.
    (func (export "use") (param i32) (result i32) (local $last i32)
      (if (i32.eq (memory.grow (local.get 0)) (i32.const -1)) (then unreachable))
      (local.set $last (i32.sub (i32.mul (memory.size) (i32.const 65536)) (i32.const 1)))
      (if (i32.load8_u (local.get $last)) (then unreachable))
      (i32.store8 (local.get $last) (i32.const 7))
      (i32.load8_u (local.get $last)))
    (func (export "peek") (param i32) (result i32) (i32.load8_u (local.get 0))))
  (core instance $i (instantiate $m))
  (func (export "size") (result u32) (canon lift (core func $i "size")))
  (func (export "grow") (param "pages" u32) (result s32) (canon lift (core func $i "grow")))
  (func (export "use") (param "pages" u32) (result u32) (canon lift (core func $i "use")))
  (func (export "peek") (param "at" u32) (result u32) (canon lift (core func $i "peek"))))
