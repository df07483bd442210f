"""The public contract as names: classes with bases, attributes and methods, the methods with parameters.

Kept here as text, so that the tests hold the package to what was agreed and not to itself.

    Class(Base): attribute attribute
        method(parameter, *, parameter=default)

A default of Ellipsis stands for one that the contract leaves open.
"""

BLOCKINGIO = """
HttpException(Exception): message uri
    __init__(message, uri=None)
RedirectException(HttpException): redirects
StateError(RuntimeError):
Stream: is_broadcast
    __iter__()
    from_iterable(items)
    periodic(period, computation)
    map(convert)
    where(test)
    expand(convert)
    async_map(convert)
    async_expand(convert)
    cast(type_)
    distinct(equals=None)
    skip(count)
    skip_while(test)
    take(count)
    take_while(test)
    handle_error(on_error, test=None)
    timeout(time_limit, on_timeout=None)
    transform(transformer)
    as_broadcast_stream(*, on_listen=None, on_cancel=None)
    any(test)
    every(test)
    contains(needle)
    first()
    last()
    single()
    first_where(test, *, or_else=None)
    last_where(test, *, or_else=None)
    single_where(test, *, or_else=None)
    element_at(index)
    is_empty()
    length()
    fold(initial_value, combine)
    reduce(combine)
    join(separator='')
    to_list()
    to_set()
    drain(future_value=...)
    for_each(action)
    pipe(stream_consumer)
    listen(on_data, *, on_error=None, on_done=None, cancel_on_error=False)
StreamSubscription: is_paused
    pause()
    resume()
    cancel()
    as_future(future_value=None)
StreamTransformer:
    bind(stream)
EventSink:
    add(event)
    add_error(error)
    close()
InternetAddressType: ANY IPV4 IPV6 UNIX
InternetAddress: LOOPBACK_IP_V4 LOOPBACK_IP_V6 ANY_IP_V4 ANY_IP_V6 address host raw_address type is_loopback
        is_link_local is_multicast
    __init__(address, type=None)
    reverse()
    lookup(host, type=InternetAddressType.ANY)
    try_parse(address)
Uri: scheme user_info host port has_port authority origin path path_segments query query_parameters
        query_parameters_all fragment has_query has_fragment is_absolute
    __init__(*, scheme='', user_info='', host='', port=None, path='', path_segments=None, query=None,
          query_parameters=None, fragment=None)
    parse(text)
    try_parse(text)
    http(authority, path='', query_parameters=None)
    https(authority, path='', query_parameters=None)
    file(path)
    resolve(reference)
    replace(**parts)
    normalize_path()
    to_file_path()
    encode_component(text)
    decode_component(text)
    encode_query_component(text)
    split_query_string(query, *, encoding='utf-8')
HttpStatus: phrase OK NOT_FOUND METHOD_NOT_ALLOWED INTERNAL_SERVER_ERROR
HttpDate:
    format(date)
    parse(date)
HeaderValue: value parameters
    __init__(value='', parameters={})
    parse(value, *, parameter_separator=';', value_separator=None, preserve_backslash=False)
ContentType(HeaderValue): TEXT HTML JSON BINARY primary_type sub_type mime_type charset
    __init__(primary_type, sub_type, *, charset=None, parameters={})
    parse(value)
SameSite: LAX STRICT NONE
Cookie: name value expires max_age domain path secure http_only same_site
    __init__(name, value)
    from_set_cookie_value(value)
HttpHeaders(MutableMapping): date expires if_modified_since host port content_type content_length
        persistent_connection chunked_transfer_encoding
    __init__()
    __getitem__(key, /)
    __setitem__(key, value, /)
    __delitem__(key, /)
    __iter__()
    __len__()
    value(name)
    get_all(name)
    add(name, value, *, preserve_header_case=False)
    set(name, value, *, preserve_header_case=False)
    remove(name, value)
    remove_all(name)
    for_each(action)
    no_folding(name)
    clear()
X509Certificate: der pem sha1 subject issuer start_validity end_validity
SecurityContext: DEFAULT_CONTEXT certificate_pem fingerprint
    __init__(*, with_trusted_roots=False)
    use_certificate_chain(file, *, password=None)
    use_certificate_chain_bytes(chain, *, password=None)
    use_private_key(file, *, password=None)
    use_private_key_bytes(key, *, password=None)
    set_trusted_certificates(file, *, password=None)
    set_trusted_certificates_bytes(certificates, *, password=None)
    set_client_authorities(file, *, password=None)
    set_client_authorities_bytes(authorities, *, password=None)
    set_alpn_protocols(protocols, is_server)
    self_signed(hosts=("localhost", "127.0.0.1", "::1"), *, days=30)
    server_context()
    client_context()
HttpConnectionInfo: remote_address remote_port local_port
HttpConnectionsInfo: total active idle closing
IOSink: encoding
    write(obj)
    writeln(obj='')
    write_all(objects, separator='')
    write_char_code(char_code)
    write_char_codes(char_codes)
    add(data)
    add_stream(stream)
    add_error(error)
    flush()
HttpServer(Stream): address port auto_compress default_response_headers idle_timeout server_header
        session_timeout header_timeout body_timeout max_header_size max_header_count max_target_length
        max_body_size max_connections allowed_hosts min_body_rate trusted_proxies max_sessions wire_log
    connections()
    bind(address, port, *, backlog=0, v6_only=False, shared=False)
    bind_secure(address, port, context, *, backlog=0, v6_only=False, request_client_certificate=False,
          shared=False)
    listen_on(server_socket)
    connections_info()
    close(*, force=False)
    for_each(action, *, workers=1)
    listen(on_data, *, on_error=None, on_done=None, cancel_on_error=False, workers=1)
    __enter__()
    __exit__(*exc_info)
HttpRequest(Stream): method uri requested_uri protocol_version headers cookies content_length
        persistent_connection session certificate connection_info client_address response trailers
    read(size=-1)
HttpResponse(IOSink): status_code reason_phrase content_length persistent_connection deadline buffer_output
        headers cookies connection_info done is_connected
    close()
    redirect(location, *, status=302)
    detach_socket(*, write_headers=True)
    __enter__()
    __exit__(*exc_info)
HttpSession(MutableMapping): id is_new on_timeout
    __getitem__(key, /)
    __setitem__(key, value, /)
    __delitem__(key, /)
    __iter__()
    __len__()
    destroy()
HttpClient: DEFAULT_HTTP_PORT DEFAULT_HTTPS_PORT idle_timeout connection_timeout max_connections_per_host
        auto_uncompress user_agent authenticate authenticate_proxy bad_certificate_callback connection_factory
        find_proxy key_log response_timeout max_header_size max_header_count wire_log
    __init__(*, context=None)
    find_proxy_from_environment(url, *, environment=None)
    open(method, host, port, path)
    open_url(method, url)
    get(host, port, path)
    get_url(url)
    post(host, port, path)
    post_url(url)
    put(host, port, path)
    put_url(url)
    delete(host, port, path)
    delete_url(url)
    patch(host, port, path)
    patch_url(url)
    head(host, port, path)
    head_url(url)
    add_credentials(url, realm, credentials)
    add_proxy_credentials(host, port, realm, credentials)
    close(*, force=False)
    __enter__()
    __exit__(*exc_info)
HttpClientCredentials:
HttpClientBasicCredentials(HttpClientCredentials):
    __init__(username, password)
HttpClientBearerCredentials(HttpClientCredentials):
    __init__(token)
HttpClientDigestCredentials(HttpClientCredentials):
    __init__(username, password)
HttpClientRequest(IOSink): method uri headers cookies content_length persistent_connection follow_redirects
        max_redirects buffer_output connection_info done
    close()
    abort(exception=None)
HttpClientResponseCompressionState: NOT_COMPRESSED DECOMPRESSED COMPRESSED
RedirectInfo: status_code method location
HttpClientResponse(Stream): status_code reason_phrase headers cookies content_length persistent_connection
        is_redirect redirects compression_state certificate connection_info
    read(size=-1)
    text()
    json()
    redirect(method=None, url=None, follow_loops=False)
    detach_socket()
WebSocketStatus: NORMAL_CLOSURE GOING_AWAY PROTOCOL_ERROR UNSUPPORTED_DATA RESERVED_1004 NO_STATUS_RECEIVED
        ABNORMAL_CLOSURE INVALID_FRAME_PAYLOAD_DATA POLICY_VIOLATION MESSAGE_TOO_BIG MISSING_MANDATORY_EXTENSION
        INTERNAL_SERVER_ERROR RESERVED_1015
WebSocketException(Exception): message http_status_code
    __init__(message='', http_status_code=None)
CompressionOptions: COMPRESSION_DEFAULT COMPRESSION_OFF
    __init__(*, client_no_context_takeover=False, server_no_context_takeover=False, client_max_window_bits=None, server_max_window_bits=None, enabled=True)
ConnectionRecord: peer state age requests bytes_in bytes_out waits_for due ended
WireRecord: connection peer direction data seconds is_tls
WebSocket(Stream): CONNECTING OPEN CLOSING CLOSED ready_state extensions protocol close_code close_reason
        ping_interval max_message_size done
    connect(url, *, protocols=(), headers=None, compression=..., custom_client=None)
    from_upgraded_socket(socket, *, protocol=None, server_side, compression=...)
    add(data)
    add_utf8_text(data)
    add_stream(stream)
    add_error(error)
    close(code=None, reason=None)
    __enter__()
    __exit__(*exc_info)
WebSocketTransformer(StreamTransformer):
    __init__(*, protocol_selector=None, compression=...)
    is_upgrade_request(request)
    upgrade(request, *, protocol_selector=None, compression=..., allowed_origins=None)
"""

HTTP_SERVER = """
VirtualDirectory: root allow_directory_listing follow_links jail_root directory_handler error_page_handler
    __init__(root, *, path_prefix=None)
    serve(requests)
    serve_request(request)
    serve_file(file, request)
VirtualHost: unhandled
    __init__(source=None)
    add_source(source)
    add_host(host)
HttpBodyHandler(StreamTransformer):
    __init__(*, default_encoding='utf-8')
    process_request(request, *, default_encoding='utf-8')
    process_response(response, *, default_encoding='utf-8')
HttpBody: type body
HttpRequestBody(HttpBody): request
HttpClientResponseBody(HttpBody): response
HttpBodyFileUpload: filename content_type content
MimeMultipart(Stream): headers
MimeMultipartTransformer(StreamTransformer):
    __init__(boundary)
HttpMultipartFormData(Stream): content_type content_disposition content_transfer_encoding is_text is_binary
    parse(multipart, *, default_encoding='utf-8')
    value(name)
"""

WIRE_VIEW = """
WireView:
    __init__(stream=None, *, colour=None, secrets=False, body_limit=1024)
    __call__(record)
"""

TESTING = """
RecordedRequest: method uri headers body client
RunningServer: url port server context requests
    on(method, path, *, status=200, body=None, json=..., headers=None, action=None, times=None, fault=None)
    close()
    __enter__()
    __exit__(*exc_info)
Fault:
    __init__(*, delay=0, rate=None, cut_after=None, reset=False, close_before_head=False, bad_chunk=False,
          wrong_length=0)
"""

WSGI = """
WsgiHandler:
    __init__(application, *, script_name='', multiprocess=False)
    __call__(request)
"""

#: Functions, by their modules.
FUNCTIONS = """
blockingio.processes: run(work, server, processes, *, grace=30)
blockingio.processes: inherited_sockets()
blockingio.testing: serving(action=None, *, workers=8, secure=False)
"""

#: Beside the contract's: what the access log is told, and which version this is.
MORE = ["AccessRecord", "__version__"]
