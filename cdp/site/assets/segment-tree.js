// The tree of rows: in which order it is shown, and how rows move in it — by buttons, arrow keys or dragging alike. Pure.
"use strict";

const SegmentTree = (() => {
  const DEEPEST = 9;

  // Every row in the order in which it is shown. A group is followed by its children and by its bar of buttons, an event
  // by the conditions on it, a sequence by its steps.
  function rows(root) {
    const found = [];
    const add = (row) => found.push({ key: row.node.id, ...row });

    function walk(node, parent, depth, index, place) {
      if (node.kind === "group") {
        add({ part: "group", node, parent, depth, index, ...place });
        children(node, depth + 1, place);
        add({ part: "add", node, parent, depth, index, ...place, key: `${node.id}-add` });
        return;
      }
      add({ part: "leaf", node, parent, depth, index, ...place });
      if (node.where) subtree(node.where, depth + 1, { tree: node.where, first: "where", event: node.json.name, steps: [] });
      if (node.has) subtree(node.has, depth + 1, { tree: node.has, first: "has", event: node.json.name, steps: [] });
      (node.steps ?? []).forEach((step, at) => {
        add({ part: "step", node: step, sequence: node, depth: depth + 1, index: at });
        subtree(step.where, depth + 2, { tree: step.where, first: "where", event: step.json.name, steps: node.steps.slice(0, at) });
      });
    }

    function children(node, depth, place) {
      node.children.forEach((child, index) => walk(child, node, depth, index, place));
    }

    // Conditions on one event: a group around them is shown only where it says something.
    function subtree(tree, depth, place) {
      const shown = tree.children.length > 1 || tree.nots > 0;
      if (shown) add({ part: "group", node: tree, parent: null, depth, index: 0, ...place });
      children(tree, depth + (shown ? 1 : 0), place);
    }

    walk(root, null, 0, 0, { tree: root, first: "who", event: "", steps: [] });
    return found;
  }

  // The word before a row, by the way in which its group joins.
  function lead(row) {
    if (row.index === 0 && (row.parent === row.tree || row.parent === null)) return row.first;
    return row.index === 0 ? "" : row.parent.mode === "all" ? "and" : "or";
  }

  function find(root, id, parent = null, depth = 0) {
    if (root.id === id) return { node: root, parent, depth };
    for (const child of root.children ?? []) {
      const found = find(child, id, root, depth + 1);
      if (found) return found;
    }
    return null;
  }

  const contains = (node, id) => Boolean(find(node, id));
  const height = (node) => (node.kind === "group" ? 1 + Math.max(0, ...node.children.map(height)) : 1);

  // Takes a row out of its place; a group that is left empty goes with it.
  function detach(tree, node) {
    const { parent } = find(tree, node.id);
    parent.children.splice(parent.children.findIndex((one) => one.id === node.id), 1);
    if (parent.children.length === 0 && parent !== tree) detach(tree, parent);
  }

  function put(tree, node, parent, index) {
    const { depth } = find(tree, parent.id);
    if (depth + height(node) > DEEPEST) return "";
    const before = find(tree, node.id);
    const from = before.parent.children.findIndex((one) => one.id === node.id);
    const at = before.parent === parent && from < index ? index - 1 : index;
    // The place is held by its neighbour, because an emptied group before it would shift the numbers.
    before.parent.children.splice(from, 1);
    parent.children.splice(at, 0, node);
    if (before.parent !== tree && before.parent.children.length === 0) detach(tree, before.parent);
    return parent === tree ? `Moved to place ${parent.children.indexOf(node) + 1}` : `Moved to place ${parent.children.indexOf(node) + 1} of a group`;
  }

  function moveUp(tree, node) {
    const { parent } = find(tree, node.id);
    const index = indexIn(parent, node);
    const before = parent.children[index - 1];
    if (before?.kind === "group") return put(tree, node, before, before.children.length);
    if (before) return put(tree, node, parent, index - 1);
    return parent === tree ? "" : beside(tree, node, parent, 0);
  }

  function moveDown(tree, node) {
    const { parent } = find(tree, node.id);
    const index = indexIn(parent, node);
    const after = parent.children[index + 1];
    if (after?.kind === "group") return put(tree, node, after, 0);
    if (after) return put(tree, node, parent, index + 2);
    return parent === tree ? "" : beside(tree, node, parent, 1);
  }

  function beside(tree, node, other, by) {
    const { parent } = find(tree, other.id);
    return put(tree, node, parent, indexIn(parent, other) + by);
  }

  const indexIn = (parent, node) => parent.children.findIndex((one) => one.id === node.id);

  // Into the group beside it, or else into a group of its own.
  function moveIn(tree, node, makeGroup) {
    const { parent, depth } = find(tree, node.id);
    const index = indexIn(parent, node);
    const before = parent.children[index - 1];
    const after = parent.children[index + 1];
    if (before?.kind === "group") return put(tree, node, before, before.children.length);
    if (after?.kind === "group") return put(tree, node, after, 0);
    if (depth + height(node) > DEEPEST) return "";
    const group = makeGroup(parent.mode === "all" ? "any" : "all");
    parent.children.splice(index, 1, group);
    group.children.push(node);
    return "Put into a group of its own";
  }

  function moveOut(tree, node) {
    const { parent } = find(tree, node.id);
    return parent === tree || parent === null ? "" : beside(tree, node, parent, 1) && "Taken out of the group";
  }

  // Dragging: before or after another row, or to the end of a group.
  function drop(tree, id, target, place) {
    const node = find(tree, id)?.node;
    if (!node || contains(node, target.id)) return "";
    if (place === "inside") return put(tree, node, target, target.children.length);
    const { parent } = find(tree, target.id) ?? {};
    return parent ? put(tree, node, parent, indexIn(parent, target) + (place === "after" ? 1 : 0)) : "";
  }

  return { rows, lead, find, detach, moveUp, moveDown, moveIn, moveOut, drop };
})();
