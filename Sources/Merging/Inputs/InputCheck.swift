internal import Checkpoints
internal import Foundation
internal import Primitives
internal import Tickets
internal import Torch

/// What does not fit between a recipe's inputs and the model that the result is like.
struct InputCheck {
  let reference: Checkpoint
  let inputs: [MergeInput]
  /// Whether element types may differ, since the recipe names the result's.
  let namesType: Bool

  func problems() throws -> [String] {
    var problems = unreadable(reference)
    for input in inputs {
      switch input.source {
      case .model(let model) where model !== reference: problems += try differences(of: model)
      case .model: break
      case .ticket(let adapter):
        if input.recipe.parameters["density"] != nil {
          problems.append("\(input.path) is sparse already: leave out its density")
        }
        problems += told { try adapter.verify(base: reference, digests: false) }
      case .lowRank(let adapter): problems += told { try adapter.verify(base: reference) }
      }
    }
    return problems + wrongBases()
  }

  /// Digests of the base's tensors, each read once where all is well.
  private func wrongBases() -> [String] {
    let adapters = inputs.compactMap(\.ticket).filter { adapter in
      (try? adapter.verify(base: reference, digests: false)) != nil
    }
    if (try? Adapter.verify(adapters, base: reference)) != nil { return [] }
    return adapters.flatMap { adapter in told { try adapter.verify(base: reference) } }
  }

  private func told(_ check: () throws -> Void) -> [String] {
    do {
      try check()
      return []
    } catch {
      return ["\(error)"]
    }
  }

  private func unreadable(_ model: Checkpoint) -> [String] {
    Self.shortened(model.tensors.filter { $0.dtype == .float64 }.map { $0.name }).map {
      "\(model.path): tensor \($0) is F64, and merging computes in F32: convert the model"
    }
  }

  private func differences(of model: Checkpoint) throws -> [String] {
    var (missing, extra, shapes, types, values) = ([String](), [String](), [String](), [String](), [String]())
    for tensor in reference.tensors {
      guard let found = try? model.description(of: tensor.name) else {
        missing.append("tensor \(tensor.name) is missing")
        continue
      }
      if found.shape != tensor.shape {
        shapes.append("tensor \(tensor.name) has shape \(found.shape), expected \(tensor.shape)")
      } else if found.dtype != tensor.dtype, !(namesType && found.dtype.isFloatingPoint && tensor.dtype.isFloatingPoint)
      {
        types.append("tensor \(tensor.name) is \(found.dtype.rawValue), expected \(tensor.dtype.rawValue)")
      } else if !tensor.dtype.isFloatingPoint {
        let isEqual = try reference.withBytes(of: tensor.name) { left in
          try model.withBytes(of: tensor.name) { right in left.elementsEqual(right) }
        }
        if !isEqual { values.append("tensor \(tensor.name) is \(tensor.dtype.rawValue) and not the same") }
      }
    }
    for tensor in model.tensors where !reference.contains(tensor.name) {
      extra.append("tensor \(tensor.name) is in none of the others")
    }
    let advice = types.isEmpty ? [] : ["name the result's dtype to merge different element types"]
    let found = [missing, extra, shapes, types, values].flatMap(Self.shortened) + vocabulary(of: model) + advice
    return found.map { "\(model.path): \($0)" } + unreadable(model)
  }

  /// Rows of the embedding mean nothing without the tokens that they are for.
  private func vocabulary(of model: Checkpoint) -> [String] {
    let sizes = [reference.path, model.path].map { directory in
      (try? FileSystem.readJSON(FileSystem.join(directory, "config.json")))?["vocab_size"]?.integerValue
    }
    if let expected = sizes[0], let found = sizes[1], expected != found {
      return ["its vocabulary has \(found) tokens, expected \(expected)"]
    }
    let files = [reference.path, model.path].map { FileSystem.join($0, "tokenizer.json") }
    guard let mine = try? FileSystem.read(files[0]), let theirs = try? FileSystem.read(files[1]), mine != theirs,
      let expected = Self.tokens(mine, files[0]), let found = Self.tokens(theirs, files[1])
    else { return [] }
    let differing = expected.filter { found[$0.key] != $0.value }.map(\.key)
    guard !differing.isEmpty || expected.count != found.count else { return [] }
    let example = differing.min().map { ", '\($0)' for example" } ?? ""
    return ["its tokenizer.json gives \(max(differing.count, 1)) tokens other numbers\(example)"]
  }

  private static func tokens(_ data: Data, _ path: String) -> [String: Int]? {
    guard let json = try? FileSystem.parseJSON(data, path: path), case .object(let members)? = json["model"]?["vocab"]
    else { return nil }
    return Dictionary(members.compactMap { name, id in id.integerValue.map { (name, $0) } }) { first, _ in first }
  }

  /// The first few of many.
  private static func shortened(_ texts: [String]) -> [String] {
    texts.count <= 4 ? texts : texts.prefix(3) + ["and \(texts.count - 3) more like these"]
  }
}
