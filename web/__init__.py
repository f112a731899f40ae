"""What stands between the network and Streamlit: headers, origins, who somebody is, logs.

Plain ASGI and the standard library. No pages, no models.
"""
