import ArgumentParser
import Merging

/// `DIR`, `NAME=DIR`, either with `:WEIGHT`.
struct NamedInput: ExpressibleByArgument {
  let name: String
  let input: MergeRecipe.Input

  init?(argument: String) {
    let (name, path) = split(argument)
    input = MergeCommand.input(path)
    self.name = name ?? input.path
    guard !self.name.isEmpty, !input.path.isEmpty else { return nil }
  }
}

/// `0.1,0.2`, for one input `NAME=0.1,0.2`.
struct NumberList: ExpressibleByArgument {
  let input: String?
  let values: [Double]

  init?(argument: String) {
    let split = argument.lastIndex(of: "=")
    input = split.map { String(argument[..<$0]) }
    let numbers = split.map { argument[argument.index(after: $0)...] } ?? argument[...]
    let values = numbers.split(separator: ",", omittingEmptySubsequences: false).map { Double($0) }
    self.values = values.compactMap { $0 }
    guard self.values.count == values.count, input != "" else { return nil }
  }
}

/// `FILE`, `LABEL=FILE`.
struct LabelledFile: ExpressibleByArgument {
  let label: String
  let path: String

  init?(argument: String) {
    let (name, path) = split(argument)
    self.path = path
    label = name ?? path.split(separator: "/").last.map(String.init) ?? ""
    guard !label.isEmpty, !path.isEmpty else { return nil }
  }
}

/// `NAME=PATH`; a name holds no slash, so that paths may hold any character.
private func split(_ argument: String) -> (name: String?, path: String) {
  guard let place = argument.firstIndex(of: "="), !argument[..<place].contains("/") else { return (nil, argument) }
  return (String(argument[..<place]), String(argument[argument.index(after: place)...]))
}
