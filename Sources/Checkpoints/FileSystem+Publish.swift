#if canImport(Glibc)
import Glibc
#elseif canImport(Darwin)
import Darwin
#endif

extension FileSystem {
  /// Builds a directory aside and shows it under its name only when `build` has succeeded.
  ///
  /// - Parameters:
  ///   - overwrite: Replace an existing directory that is not empty. The old one stays until the new one is complete.
  ///   - build: Fills the directory whose path it is given.
  /// - Throws: ``CheckpointError/outputExists(path:)`` before any work; what `build` throws, after removing its files.
  public static func publishDirectory<R>(
    _ path: String, overwrite: Bool = false, _ build: (_ temporary: String) throws -> R
  ) throws -> R {
    let path = withoutTrailingSlashes(path)
    try checkPublishable(path, overwrite: overwrite)
    // A link to a directory stays a link: the directory behind it is replaced.
    let target = resolved(path)
    if target != path { return try publishDirectory(target, overwrite: overwrite, build) }
    try createDirectory(parent(of: path))
    let temporary = temporaryPath(beside: path)
    do {
      try createDirectory(temporary)
      let result = try build(temporary)
      try flushDirectory(temporary)
      try replace(path, by: temporary, overwrite: overwrite)
      try flushDirectory(parent(of: path))
      return result
    } catch {
      try? remove(temporary)
      throw error
    }
  }

  /// Whether ``publishDirectory(_:overwrite:_:)`` could show a directory here; call it before expensive work.
  public static func checkPublishable(_ path: String, overwrite: Bool = false) throws {
    guard !path.isEmpty else {
      throw CheckpointError.system(operation: "create directory", path: path, code: ENOENT)
    }
    var status = stat()
    guard lstat(path, &status) == 0 else { return }
    guard isDirectory(path) else { throw CheckpointError.outputIsNotADirectory(path: path) }
    if overwrite { return }
    guard try contents(of: path).isEmpty else { throw CheckpointError.outputExists(path: path) }
  }

  /// `path` with links resolved where it is itself a link, else unchanged.
  private static func resolved(_ path: String) -> String {
    var status = stat()
    guard lstat(path, &status) == 0, status.st_mode & S_IFMT == S_IFLNK, let real = realpath(path, nil) else {
      return path
    }
    defer { free(real) }
    return String(cString: real)
  }

  private static func replace(_ path: String, by temporary: String, overwrite: Bool) throws {
    try checkPublishable(path, overwrite: overwrite)
    // An empty directory gives way to a rename; a full one must step aside first.
    if rename(temporary, path) == 0 { return }
    let code = errno
    guard overwrite, code == ENOTEMPTY || code == EEXIST else {
      throw CheckpointError.system(operation: "rename the finished directory to", path: path, code: code)
    }
    // In one step where the file system can: at every moment there is either the old directory or the new one.
    if exchange(temporary, path) { return try remove(temporary) }
    let old = temporaryPath(beside: path)
    try move(path, to: old)
    guard rename(temporary, path) == 0 else {
      let code = errno
      rename(old, path)
      throw CheckpointError.system(operation: "rename the finished directory to", path: path, code: code)
    }
    try remove(old)
  }

  private static func exchange(_ first: String, _ second: String) -> Bool {
    #if canImport(Glibc)
    // Swift's module of the C library leaves it out.
    typealias Rename = @convention(c) (Int32, UnsafePointer<CChar>, Int32, UnsafePointer<CChar>, UInt32) -> Int32
    guard let symbol = dlsym(nil, "renameat2") else { return false }
    let renameExchange: UInt32 = 2
    return unsafeBitCast(symbol, to: Rename.self)(AT_FDCWD, first, AT_FDCWD, second, renameExchange) == 0
    #elseif canImport(Darwin)
    return renamex_np(first, second, UInt32(RENAME_SWAP)) == 0
    #else
    return false
    #endif
  }

  /// Files of a model directory that describe the model and its tokenizer: everything but weights.
  public static let auxiliaryModelFiles = [
    "config.json", "generation_config.json", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json",
    "added_tokens.json", "tokenizer.model", "vocab.json", "merges.txt", "chat_template.jinja", "chat_template.json",
  ]

  /// Copies those of ``auxiliaryModelFiles`` that exist. Returns their names.
  @discardableResult
  public static func copyAuxiliaryModelFiles(from source: String, to target: String) throws -> [String] {
    let present = auxiliaryModelFiles.filter { exists(join(source, $0)) }
    for name in present { try copyFile(from: join(source, name), to: join(target, name)) }
    return present
  }
}
