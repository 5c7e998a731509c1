import Adaptation
import Hub

/// `hf:OWNER/NAME` in place of a model's directory: the snapshot in the cache, in every verb alike.
enum HubArguments {
  private static let options = ["--model", "--base", "--tuned", "--adapter"]

  /// The arguments with references replaced where a directory is expected. Looks at no server.
  ///
  /// - Throws: `HubError` for what is not in the cache.
  static func resolve(_ arguments: [String], cache: HubCache = HubCache()) throws -> [String] {
    var resolved: [String] = []
    for argument in arguments {
      if HubReference.isReference(argument), let option = resolved.last, options.contains(option) {
        resolved.append(try cache.resolve(argument))
      } else if let option = options.first(where: { argument.hasPrefix("\($0)=\(HubReference.prefix)") }) {
        resolved.append("\(option)=" + (try cache.resolve(String(argument.dropFirst(option.count + 1)))))
      } else {
        resolved.append(argument)
      }
    }
    return resolved
  }
}

extension AdapterReference {
  /// The adapter's directory, from the cache where a repository is named: `sql=hf:OWNER/NAME`.
  ///
  /// - Throws: `HubError` for what is not in the cache.
  func located(cache: HubCache = HubCache()) throws -> String { try cache.resolve(directory) }
}
