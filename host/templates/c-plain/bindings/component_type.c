// The bindings ask for an object that describes the component's types. `gatehouse build` reads them from wit/ itself, so it is empty.
void __component_type_object_force_link_component(void) {}
