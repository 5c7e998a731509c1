import Checkpoints

/// Which of a repository's files are of use here.
enum HubChoice {
  /// Files that must be there before the shards of a model are known, then what else is wanted.
  struct Files: Equatable {
    /// The index of a sharded model; its shards are those it names.
    var index: HubFile?
    var others: [HubFile] = []
  }

  /// - Throws: ``HubError/nothingUsable(_:files:)``, ``HubError/onlyPickledWeights(_:file:)``
  static func files(of listing: HubListing, reference: HubReference) throws -> Files {
    switch reference.kind {
    case .model: try model(listing, reference)
    case .dataset: try rows(listing, reference)
    }
  }

  /// Configuration, tokenizer, and weights in safetensors: of a model one file or shards, of an adapter its own.
  private static func model(_ listing: HubListing, _ reference: HubReference) throws -> Files {
    let byName = Dictionary(listing.files.map { ($0.name, $0) }, uniquingKeysWith: { first, _ in first })
    var files = Files()
    files.others = (FileSystem.auxiliaryModelFiles + ["adapter_config.json"]).compactMap { byName[$0] }
    if let single = byName[Checkpoint.singleFileName] {
      files.others.append(single)
    } else if let index = byName[ShardIndex.fileName] {
      files.index = index
    } else if let adapter = byName["adapter_model.safetensors"] {
      files.others.append(adapter)
    } else if let pickle = listing.files.first(where: { isPickle($0.name) }) {
      throw HubError.onlyPickledWeights(reference, file: pickle.name)
    } else {
      throw HubError.nothingUsable(reference, files: listing.files.map(\.name))
    }
    return files
  }

  private static func rows(_ listing: HubListing, _ reference: HubReference) throws -> Files {
    let endings = [".jsonl", ".json", ".csv"]
    let chosen = listing.files.filter { file in endings.contains { file.name.lowercased().hasSuffix($0) } }
    guard !chosen.isEmpty else { throw HubError.nothingUsable(reference, files: listing.files.map(\.name)) }
    return Files(others: chosen)
  }

  private static func isPickle(_ name: String) -> Bool {
    [".bin", ".pt", ".pth", ".ckpt", ".pkl"].contains { name.lowercased().hasSuffix($0) }
  }
}
