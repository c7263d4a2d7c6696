;; Makes handles of resources of its own, as many as it is told; itself, and by way of two instances of a component that has its own.
;; Each function is a tool.
(component
  (component $maker
    (type $thing (resource (rep i32)))
    (core func $new (canon resource.new $thing))
    (core module $m
      (import "own" "new" (func $new (param i32) (result i32)))
      (func (export "make") (param $wanted i32)
        (loop $l
          (drop (call $new (local.get $wanted)))
          (local.set $wanted (i32.sub (local.get $wanted) (i32.const 1)))
          (br_if $l (local.get $wanted)))))
    (core instance $i (instantiate $m (with "own" (instance (export "new" (func $new))))))
    (func (export "make") (param "wanted" u32) (canon lift (core func $i "make"))))
  (component $teller
    (import "one" (func $one (param "wanted" u32)))
    (import "other" (func $other (param "wanted" u32)))
    (core func $one (canon lower (func $one)))
    (core func $other (canon lower (func $other)))
    (core module $m
      (import "makers" "one" (func $one (param i32)))
      (import "makers" "other" (func $other (param i32)))
      (func (export "make") (param $wanted i32)
        (call $one (local.get $wanted))
        (call $other (local.get $wanted))))
    (core instance $i (instantiate $m (with "makers" (instance (export "one" (func $one)) (export "other" (func $other))))))
    (func (export "make") (param "wanted" u32) (canon lift (core func $i "make"))))
  (instance $one (instantiate $maker))
  (instance $other (instantiate $maker))
  (instance $teller (instantiate $teller (with "one" (func $one "make")) (with "other" (func $other "make"))))
  (export "make" (func $one "make"))
  (export "make-inside" (func $teller "make")))
